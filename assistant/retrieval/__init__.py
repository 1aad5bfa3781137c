"""Finding passages: by their words and by what they mean."""
