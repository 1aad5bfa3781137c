"""What runs around the daemon: alert rules whose thresholds follow from the configuration."""
