"""Simulated maps: elements, their shapes and noise, faults of known truth, and the statistical limit."""
