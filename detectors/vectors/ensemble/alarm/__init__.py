"""From what rows show to alarms."""
