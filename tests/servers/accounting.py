"""The accounts of a daemon: every record and every sample that was taken has one fate, and no more."""

from __future__ import annotations

from collections import Counter

from prometheus_client.parser import text_string_to_metric_families


def by_topic(exposition: str) -> dict[str, Counter[str]]:
    """Give metric -> topic -> its sum over all other labels, from what /metrics says."""
    found: dict[str, Counter[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if "topic" in sample.labels:
                of_topic = found.setdefault(sample.name.removeprefix("anomalyd_"), Counter())
                of_topic[sample.labels["topic"]] += int(sample.value)
    return found


def assert_accounted(exposition: str) -> None:
    """See that what was consumed and decoded is what became of it; what is read again is counted apart."""
    told = by_topic(exposition)
    for topic, consumed in told["records_consumed_total"].items():
        taken = consumed + told["records_reread_total"][topic]
        assert taken == told["records_settled_total"][topic], (topic, told)
        settled = told["samples_settled_total"][topic] + told["samples_in_flight"][topic]
        assert told["samples_decoded_total"][topic] == settled, (topic, told)
