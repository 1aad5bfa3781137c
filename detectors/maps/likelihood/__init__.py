"""The likelihood scan of occupancy maps: places that could be broken, and the odds that one of them is."""
