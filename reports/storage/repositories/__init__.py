"""The parts of the store, one for each thing that is kept."""
