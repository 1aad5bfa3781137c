"""What the formats share: names and fields, and what is said of a part that cannot be read."""
