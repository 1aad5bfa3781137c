"""A case beyond its report: what was made of its explanation, outlines, and cases beside it."""
