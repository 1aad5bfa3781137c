"""What daemons say of themselves, on both databases."""

from __future__ import annotations

from contextlib import closing

import msgspec

from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.feedback import AppliedFeedback
from anomalyd.reports.queries import Queries
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.daemon_status import FORGOTTEN_S, DaemonStatus, DetectorStatus
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.repositories.overview import UNFIT
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

STATUS = DaemonStatus("pc1:9464", "1.0", 5.0, 9.0, 3.0, lag={"hosts": 12}, newest=8.5)


def test_what_is_said_last_is_kept(store: Store, queries: Queries) -> None:
    assert queries.overview.daemons() == []
    store.status.keep(STATUS)
    later = msgspec.structs.replace(
        STATUS,
        turned=12.0,
        detectors=(DetectorStatus("hosts", "v1", learning=1, learning_names=("host/pc9",)),),
        missing={"kafka": "no broker answers"},
    )
    store.status.keep(later)
    store.status.keep(msgspec.structs.replace(STATUS, instance="pc2:9464", stopped=True))
    (first, second) = queries.overview.daemons()
    assert first == msgspec.structs.replace(later, seen=first.seen)
    assert first.seen > 0
    assert (second.instance, second.stopped) == ("pc2:9464", True)


def test_who_is_silent_for_a_week_is_forgotten(url: str, store: Store, queries: Queries) -> None:
    store.status.keep(STATUS)
    (kept,) = queries.overview.daemons()
    with closing(Store.open(url, clock=lambda: kept.seen + FORGOTTEN_S + 1.0)) as later:
        later.status.keep(msgspec.structs.replace(STATUS, instance="other"))
    assert [each.instance for each in queries.overview.daemons()] == ["other"]


def test_what_fits_no_model_until_a_word_or_another_model(store: Store, queries: Queries) -> None:
    def snapshot(entity: str, model: str) -> StateChanges:
        return StateChanges((StateSnapshot("maps", entity, model, 1.0, b""),))

    def misfit(number: str, entity: str) -> Adapted:
        return Adapted(number, "maps", entity, "v1", 1.0, UNFIT, "30 of 30 maps alert", b"")

    for entity in ("a", "b"):
        store.commit(Step("g", states=snapshot(entity, "v1"), adaptations=(misfit(f"id{entity}", entity),)))
    assert queries.overview.unfit() == {"a": "30 of 30 maps alert", "b": "30 of 30 maps alert"}
    store.commit(Step("g", states=snapshot("b", "v2")))
    word = store.ledger.record_word("maps", "a", Verdict.NORMAL, who="ada")
    assert set(queries.overview.unfit()) == {"a"}  # not applied yet
    store.commit(Step("g", words=(AppliedFeedback(word, 1.0, 2.0, "learnt"),)))
    assert queries.overview.unfit() == {}
