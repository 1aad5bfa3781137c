"""Typed questions to sentences: each with its sources, its facts from the store's fields."""
