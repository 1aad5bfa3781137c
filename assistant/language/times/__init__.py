"""Times and lengths in words, and what they mean."""
