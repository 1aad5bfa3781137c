"""What only maps have: windows and hardware units, outlines, detectors without gradients."""
