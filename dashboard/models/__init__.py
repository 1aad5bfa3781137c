"""The trained models and what they adapted to."""
