"""Detectors of metric vectors, one a file."""
