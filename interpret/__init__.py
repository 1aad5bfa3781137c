"""Why a score is what it is: attributions and their pictures.

Stands on `detectors`; knows nothing of Kafka and reports.
"""
