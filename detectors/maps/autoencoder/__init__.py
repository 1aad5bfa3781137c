"""The map autoencoder: from a map's deviations to what its profile should have been."""
