"""How good detectors of maps are: simulated faults, sequences, and maps of one's own."""
