"""Where training data come from, and how the configured detectors are trained on them."""
