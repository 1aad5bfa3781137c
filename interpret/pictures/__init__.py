"""Pictures of explained samples: maps as the field draws them, metrics with their course."""
