"""Arrays in, scores out: fit, score, calibrate, keep a trained model, measure it on labelled data.

Knows nothing of Kafka, reports, configuration files or the other rooms.
"""
