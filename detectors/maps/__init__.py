"""Occupancy maps of a detector: geometry, simulation, and what finds a fault in them."""
