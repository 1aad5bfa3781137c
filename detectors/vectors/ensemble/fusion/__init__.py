"""The ensemble's own height beside references that do not follow the entity: one evidence, one alarm."""
