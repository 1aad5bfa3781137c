"""How good detectors of metric vectors are: labelled series, constructed cases, ablations, systematics."""
