"""Sample -> Scored: the active models, what is remembered of each entity, and which alerts count."""
