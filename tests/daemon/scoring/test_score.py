"""Sample -> Scored: in event-time order, whatever came in whatever order, and nothing uncounted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.scoring.recent_rows import MOST_ROWS, thinned
from anomalyd.daemon.scoring.score import Scorer, vectors
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.library import LoadedPair
from anomalyd.reports.storage.repositories.maintenance import Window

NAN = float("nan")


def sample(entity: str, time: float, values: Mapping[str, float | None], offset: int = 0) -> Sample:
    return Sample(entity, time, "metrics", 0, offset, values=values)


# ---- values into rows


def test_metrics_are_put_in_the_order_of_the_features() -> None:
    rows = vectors(
        ("a", "b", "c"), [sample("x", 0, {"a": 1, "b": 2, "c": 3}), sample("x", 1, {"c": 6, "a": 4, "b": 5})]
    )
    assert rows.dtype == np.float32
    assert rows.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_what_is_missing_is_nan_and_what_is_new_is_left_out() -> None:
    some = [
        sample("x", 0, {"a": 1, "b": None}),  # in order, but without a value
        sample("x", 1, {"b": 2}),
        sample("x", 2, {"z": 9, "b": 4, "a": 3}),
        sample("x", 3, {}),
    ]
    np.testing.assert_array_equal(vectors(("a", "b"), some), [[1, NAN], [NAN, 2], [3, 4], [NAN, NAN]])
    np.testing.assert_array_equal(vectors(("a", "b"), some[:1]), [[1, NAN]])


def test_beyond_float32_is_its_largest_and_not_infinite() -> None:
    largest = float(np.finfo(np.float32).max)
    some = [sample("x", 0, {"a": 1e300, "b": -1e300}), sample("x", 1, {"a": 1.0, "b": NAN})]
    np.testing.assert_array_equal(vectors(("a", "b"), some), [[largest, -largest], [1, NAN]])


_values = st.none() | st.floats(-1e30, 1e30)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), _values), min_size=1, max_size=6))
def test_rows_are_what_each_sample_says(said: list[dict[str, float | None]]) -> None:
    rows = vectors(("a", "b", "c"), [sample("x", t, values) for t, values in enumerate(said)])
    assert rows.shape == (len(said), 3)
    for row, values in zip(rows, said, strict=True):
        expected = [NAN if values.get(name) is None else values[name] for name in "abc"]
        np.testing.assert_array_equal(row, np.array(expected, dtype=np.float32))


# ---- scoring


class Nothing:
    """A store that remembers nothing."""

    @property
    def states(self) -> Nothing:
        return self

    def snapshots(self, detector: str, entities: Sequence[str]) -> dict[str, Any]:
        return {}

    tracks = snapshots

    def journal_ids(self, detector: str) -> set[int]:
        return set()


class Bench:
    """A scorer with its watches, and what it counted."""

    def __init__(self, **watched: tuple[LoadedPair | None, Sequence[str]]) -> None:
        self.registry = CollectorRegistry()
        self.entity_states = EntityStates(Nothing())  # type: ignore[arg-type]
        self.watches = {}
        for name, (loaded, entities) in watched.items():
            kind = "vector-autoencoder" if loaded is None else loaded.pair.autoencoder.card.kind
            config = DetectorConfig(name=name, kind=kind, entities=list(entities))
            active_model = ActiveModel(config, library=None)  # type: ignore[arg-type]
            active_model.loaded = loaded
            self.watches[name] = active_model
        self.scorer = Scorer(list(self.watches.values()), self.entity_states, Telemetry(self.registry))

    def score(self, samples: Sequence[Sample]) -> list[Scored]:
        """Score, and note the newest sample of each entity, as the service does by its incident trackers."""
        found = self.scorer.score(samples)
        for scored in found:
            if not scored.late:
                entity_state = self.entity_states.get(scored.detector, scored.entity)
                newest = replace(entity_state.track, newest=float(scored.window.times[-1]))
                self.entity_states.track(scored.detector, scored.entity, newest)
        return found

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"anomalyd_samples_{name}_total", labels) or 0.0


@pytest.fixture
def hosts(experiment: Any) -> Bench:
    return Bench(hosts=(experiment.loaded(experiment.host_pair), ["host/*"]))


@pytest.fixture
def chambers(experiment: Any) -> Bench:
    return Bench(chambers=(experiment.loaded(experiment.chamber_pair), ["DT/*"]))


def course(found: list[Scored], entity: str) -> dict[float, float]:
    """Event time -> the higher score, of what was scored in time."""
    scored = [s for s in found if s.entity == entity and not s.late]
    times = [float(t) for s in scored for t in s.window.times]
    assert times == sorted(set(times))
    return dict(zip(times, (float(v) for s in scored for v in s.scores.score), strict=True))


def test_each_entity_is_a_stretch_in_event_time_order_whatever_the_order_of_arrival(
    hosts: Bench, experiment: Any
) -> None:
    some = [
        experiment.sample(host, s, 15.0 if s == 5 else 0.0) for s in range(10) for host in experiment.hosts
    ]
    random.Random(3).shuffle(some)
    found = hosts.score(some)
    assert sorted(s.entity for s in found) == list(experiment.hosts)
    for scored in found:
        assert scored.window.times.tolist() == [experiment.begin + s for s in range(10)]
        assert [s.time for s in scored.samples] == scored.window.times.tolist()
        assert scored.scores.score.argmax() == 5
        assert (scored.detector, scored.model, scored.late) == ("hosts", "v1", False)
    assert hosts.counted("scored", detector="hosts") == 30
    assert hosts.counted("late", topic="metrics") == 0


@settings(deadline=None, max_examples=40)
@given(cuts=st.sets(st.integers(1, 29)))
def test_the_scores_do_not_depend_on_the_steps(experiment: Any, cuts: set[int]) -> None:
    some = [
        replaced
        for s in range(30)
        for replaced in (experiment.sample("host/a", s, 15.0 * (s % 7 == 3)), _unknown(experiment, s))
    ]
    hosts, at_once = (Bench(hosts=(experiment.loaded(experiment.host_pair), ["host/*"])) for _ in range(2))
    edges = [0, *sorted(cuts), 30]
    found = [
        scored
        for begin, end in itertools.pairwise(edges)
        for scored in hosts.score(some[2 * begin : 2 * end])
    ]
    whole = at_once.score(some)
    for entity in ("host/a", "host/new"):
        one, other = course(found, entity), course(whole, entity)
        assert one.keys() == other.keys()
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-4, atol=1e-6)


def _unknown(experiment: Any, second: int) -> Sample:
    """A host that was never trained on: what it remembers is its own scale."""
    return msgspec.structs.replace(experiment.sample("host/b", second), entity="host/new")


def test_late_and_doubled_samples_are_scored_on_their_own_and_not_remembered(
    hosts: Bench, experiment: Any
) -> None:
    hosts.score([experiment.sample("host/a", s) for s in range(10)])
    before = hosts.entity_states.get("hosts", "host/a")
    late = [experiment.sample("host/a", s, 15.0) for s in (4, 9)]
    found = hosts.score(late)
    assert [(s.late, len(s.samples)) for s in found] == [(True, 1), (True, 1)]
    assert all(s.scores.score[0] > 1 for s in found)
    assert hosts.entity_states.get("hosts", "host/a") is before
    assert hosts.counted("late", topic="metrics") == 2
    assert hosts.counted("scored", detector="hosts") == 12


def test_a_sample_that_comes_twice_in_a_step_is_once_in_time_and_once_late(
    hosts: Bench, experiment: Any
) -> None:
    twice = [experiment.sample("host/a", s) for s in (0, 1, 1, 2)]
    in_time, late = hosts.score(twice)
    assert in_time.window.times.tolist() == [experiment.begin + s for s in (0, 1, 2)]
    assert late.late
    assert late.window.times.tolist() == [experiment.begin + 1]
    assert hosts.counted("late", topic="metrics") == 1


def test_what_was_sent_before_is_handed_on_to_be_drawn(hosts: Bench, experiment: Any) -> None:
    (first,) = hosts.score([experiment.sample("host/a", s) for s in range(5)])
    assert len(first.recent) == 0
    (second,) = hosts.score([experiment.sample("host/a", s) for s in range(5, 80)])
    assert second.recent_times.tolist() == first.window.times.tolist()
    np.testing.assert_array_equal(second.recent, first.window.values)
    (third,) = hosts.score([experiment.sample("host/a", 80)])
    assert third.recent_times.tolist() == [experiment.begin + s for s in range(80)]
    np.testing.assert_array_equal(third.recent[5:], second.window.values)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_the_past_grows_thinner_and_does_not_depend_on_how_it_came(sizes: list[int]) -> None:
    times = np.arange(sum(sizes), dtype=np.float64)
    rows = times.astype(np.float32)[:, None]
    nothing = times[:0], rows[:0]
    found = nothing
    for end, size in zip(itertools.accumulate(sizes), sizes, strict=True):
        found = thinned(*found, times[end - size : end], rows[end - size : end])
    whole = thinned(*nothing, times, rows)
    np.testing.assert_array_equal(found[0], whole[0])
    np.testing.assert_array_equal(found[1][:, 0], found[0])
    assert len(found[0]) <= MOST_ROWS
    assert found[0][-64:].tolist() == times[-64:].tolist()
    assert found[0][0] == 0


def test_a_detector_without_a_model_counts_what_it_could_not_score(experiment: Any) -> None:
    bench = Bench(untrained=(None, ["host/a"]), hosts=(experiment.loaded(experiment.host_pair), ["host/*"]))
    found = bench.score([experiment.sample(host, s) for host in ("host/a", "host/b") for s in range(3)])
    assert [s.detector for s in found] == ["hosts", "hosts"]
    assert bench.counted("unscored", detector="untrained", reason="untrained") == 3
    assert bench.counted("scored", detector="hosts") == 6


def test_two_detectors_on_one_entity_each_remember_their_own(experiment: Any) -> None:
    pair, later = experiment.host_pair, experiment.train_hosts(experiment.begin + 60)
    bench = Bench(
        one=(experiment.loaded(pair), ["host/*"]), other=(experiment.loaded(later, "v7"), ["host/a"])
    )
    some = [experiment.sample("host/a", s) for s in range(6)]
    found = bench.score([*some, some[0]])
    assert [(s.detector, s.model, s.late, len(s.samples)) for s in found] == [
        ("one", "v1", False, 6),
        ("one", "v1", True, 1),
        ("other", "v7", False, 6),
        ("other", "v7", True, 1),
    ]
    assert [bench.entity_states.get(name, "host/a").model for name in ("one", "other")] == ["v1", "v7"]
    assert bench.counted("late", topic="metrics") == 1  # one sample, however many look at it
    assert [bench.counted("scored", detector=name) for name in ("one", "other")] == [7, 7]


def test_a_new_model_starts_without_the_state_of_the_old_one(hosts: Bench, experiment: Any) -> None:
    hosts.score([experiment.sample("host/a", s) for s in range(10)])
    hosts.watches["hosts"].loaded = experiment.loaded(experiment.host_pair, "v2")
    (scored,) = hosts.score([experiment.sample("host/a", 10)])
    assert (scored.model, dict(scored.window.state)) == ("v2", {})
    assert len(scored.recent) == 10  # what is drawn is what was sent
    assert hosts.entity_states.get("hosts", "host/a").model == "v2"


def test_vectors_and_maps_go_to_those_who_take_them(experiment: Any) -> None:
    bench = Bench(
        hosts=(experiment.loaded(experiment.host_pair), ["*"]),
        chambers=(experiment.loaded(experiment.chamber_pair), ["*"]),
    )
    chamber = experiment.chambers[0]
    both = [experiment.sample("host/a", 0), experiment.sample(chamber, 0)]
    assert [(s.detector, s.entity) for s in bench.score(both)] == [("hosts", "host/a"), ("chambers", chamber)]


def test_entities_nobody_watches_are_left_alone(hosts: Bench) -> None:
    assert hosts.score([sample("printer", 0.0, {"cpu": 1.0})]) == []
    assert hosts.counted("scored", detector="hosts") == 0


# ---- maps


def _cut(experiment: Any, entity: str, second: int, columns: int) -> Sample:
    """A map that lacks columns at its end."""
    whole = experiment.sample(experiment.chambers[0], second)
    return msgspec.structs.replace(whole, entity=entity, map=whole.map[:, : whole.map.shape[1] - columns])


def test_a_map_that_does_not_fit_is_counted_and_its_neighbours_are_scored(
    chambers: Bench, experiment: Any
) -> None:
    trained = experiment.chambers[0]
    some = [experiment.sample(c, s) for c in experiment.chambers for s in range(3)]
    some[1] = _cut(experiment, trained, 1, 5)  # another shape than it was trained on
    found = chambers.score(some)
    assert chambers.counted("unscored", detector="chambers", reason="mismatch") == 1
    assert chambers.counted("scored", detector="chambers") == 8
    assert sorted(course(found, trained)) == [experiment.begin, experiment.begin + 2]
    for chamber in experiment.chambers[1:]:
        assert len(course(found, chamber)) == 3


def test_maps_of_several_shapes_of_one_entity_are_scored_in_event_time_order(
    chambers: Bench, experiment: Any
) -> None:
    some = [_cut(experiment, "DT/new", s, 5 * (s % 3)) for s in range(9)]
    random.Random(1).shuffle(some)
    found = chambers.score(some)
    # `course` sees that the times rise from window to window.
    assert sorted(course(found, "DT/new")) == [experiment.begin + s for s in range(9)]
    for scored in found:
        assert all(
            s.map is not None and s.map.shape == scored.window.values.shape[1:] for s in scored.samples
        )
    assert chambers.entity_states.get("chambers", "DT/new").track.newest == experiment.begin + 8
    (late,) = chambers.score([_cut(experiment, "DT/new", 7, 0)])
    assert late.late


def test_ragged_maps_are_scored_with_nan_behind_the_ends(chambers: Bench, experiment: Any) -> None:
    chamber = experiment.chambers[0]
    ragged = experiment.sample(chamber, 0)
    assert np.isnan(ragged.map).any()
    (scored,) = chambers.score([ragged])
    assert np.isfinite(scored.scores.score).all()
    np.testing.assert_array_equal(np.isnan(scored.scores.autoencoder.error[0]), np.isnan(ragged.map))


def test_nothing_is_learnt_during_maintenance() -> None:
    """The scores are there, the state is that from before; afterwards it learns on."""
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(400, 2)).astype(np.float32)
    series = Series(np.arange(400) * 60.0, rows)
    training = TrainingSet({"x": series}, ("a", "b"))
    pair = train_pair(training, kind="vector-ensemble", parameters={"steps": 20})
    bench = Bench(d=(LoadedPair("d", "v1", pair, ()), ["*"]))
    active_model = bench.watches["d"]
    active_model.maintain([Window(("x",), 24_600.0, 24_900.0)])

    def score(*minutes: int) -> tuple[list[Scored], Any]:
        some = [sample("x", 60.0 * n, {"a": float(n % 3), "b": 50.0}) for n in minutes]
        found = bench.scorer.score(some)
        return found, bench.entity_states.get("d", "x").state

    _, before = score(400, 401)
    found, during = score(410, 411, 412)
    assert sum(len(each.samples) for each in found) == 3
    assert all(np.isfinite(each.scores.autoencoder.score).all() for each in found)
    assert {name: np.asarray(array).tobytes() for name, array in during.items()} == {
        name: np.asarray(array).tobytes() for name, array in before.items()
    }
    found, after = score(414, 415, 416)  # the last two come after its end
    assert [len(each.samples) for each in found] == [1, 2]
    recent = np.asarray(after["autoencoder.recent"])
    assert not np.array_equal(recent, np.asarray(before["autoencoder.recent"]))
