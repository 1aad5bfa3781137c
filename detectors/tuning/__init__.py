"""Search for a detector's parameters on one's own data."""
