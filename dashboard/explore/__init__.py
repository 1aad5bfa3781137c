"""Any entity over time, beside another."""
