"""Hidden units of a detector's network: which ones tell faults apart, and what they look for."""
