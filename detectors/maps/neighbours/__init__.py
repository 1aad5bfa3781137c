"""What a single map says of itself: layers beside their sisters, units beside units, cells beside cells."""
