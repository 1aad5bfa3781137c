"""A question in plain words to an answer with sources.

Stands on `reports`; knows nothing of Kafka and detectors.
"""
