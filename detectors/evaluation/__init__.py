"""How good the detectors are: figures on labelled series, under strain, on constructed cases."""
