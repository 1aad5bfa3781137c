"""The formats a message may come in: one decoder a file, found by name in `registry`."""
