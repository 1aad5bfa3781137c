"""The ensemble of metric vectors: a predictive autoencoder among six plain views of the same row."""
