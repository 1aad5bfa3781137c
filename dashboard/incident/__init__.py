"""One incident: what happened, why, what else did, and what is done about it."""
