"""What the decoders share: wire formats, names and fields, and what is said of a part that cannot be read."""
