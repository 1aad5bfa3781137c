"""What the elements of detectors look like: one YAML file for each type, and their reading."""
