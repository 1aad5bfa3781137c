"""What is remembered of an element between two calls: normal maps, rate, noise, a standing alarm."""
