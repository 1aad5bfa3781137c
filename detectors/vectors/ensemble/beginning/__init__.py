"""How an entity begins: new to the model, or back after a silence."""
