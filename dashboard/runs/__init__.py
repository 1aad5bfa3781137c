"""Runs and lumisections with their quality flags."""
