"""How incidents relate: which started together, and which of that is more than chance."""
