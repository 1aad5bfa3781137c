"""Answers over a filled store, checked against figures counted by hand from the list of incidents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalyd.assistant.answer import Answer, Assistant
from anomalyd.assistant.answers.sentence import Sentence
from anomalyd.reports.narrative import narrate
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Incident, Report, SeenBy, Severity, Status
from anomalyd.reports.step import Activity, Step, StoredChange
from anomalyd.reports.storage.store import Store

Facts = tuple[Incident, ...]


def ids(sentence: Sentence) -> tuple[str, ...]:
    """The reports that a sentence cites."""
    return tuple(source.id for source in sentence.sources if source.kind == "report")


Fits = Callable[[Incident], bool]


@pytest.fixture(scope="session")
def facts(all_incidents: Facts) -> Facts:
    return all_incidents


@pytest.fixture
def during(utc: Callable[..., float]) -> Callable[..., Fits]:
    """Incidents that went on at any moment of day, hour to day, hour."""

    def between(start: tuple[int, ...], end: tuple[int, ...] = (30,)) -> Fits:
        since, until = utc(*start), utc(*end)
        return lambda i: i.onset < until and (i.closed is None or i.closed >= since)

    return between


def on(*names: str) -> Fits:
    return lambda i: any(i.entity.endswith(name) or name == i.entity.split("/")[0] for name in names)


def severity(*those: Severity) -> Fits:
    return lambda i: i.severity in those


ERROR_OR_WORSE = severity(Severity.ERROR, Severity.CRITICAL)


def test_the_list_is_varied(facts: Facts) -> None:
    assert len(facts) == 40
    assert len({i.severity for i in facts}) == len({i.seen_by for i in facts}) == 3


COUNTS: tuple[tuple[str, Fits], ...] = (
    ("How many incidents are there?", lambda i: True),
    ("how many critical incidents?", severity(Severity.CRITICAL)),
    ("how many incidents of severity error or worse?", ERROR_OR_WORSE),
    ("how many warnings?", severity(Severity.WARNING)),
    ("how many incidents on node17?", on("node17")),
    ("how many incidents of node01 and pc1?", on("node01", "pc1")),
    ("how many incidents of node*?", on("node01", "node02", "node17")),
    ("how many incidents of DT/*", on("DT")),
    ("how many incidents in chamber W-2 MB1 S04?", on("S04")),
    ("how many incidents did the detector chambers report?", on("DT")),
    ("how many incidents are open?", lambda i: i.status is Status.OPEN),
    ("how many incidents are closed?", lambda i: i.status is Status.CLOSED),
    ("how many were seen by both?", lambda i: i.seen_by is SeenBy.BOTH),
    ("how many were seen only by the autoencoder?", lambda i: i.seen_by is SeenBy.AUTOENCODER),
    ("how many were seen by the classical detector?", lambda i: i.seen_by is not SeenBy.AUTOENCODER),
    ("how many scored above 5?", lambda i: i.peak > 5),
    ("how many incidents with a score of at least 5?", lambda i: i.peak >= 5),
    ("how many incidents with score between 2 and 3?", lambda i: 2 <= i.peak <= 3),
    ("how many incidents in run 321909?", lambda i: i.run == 321909),
    ("how many disk incidents?", lambda i: any("disk" in c for c in i.causes)),
    ("how many critical incidents of storage1 seen by both?", lambda i: on("storage1")(i) and i.peak >= 5),
)


@pytest.mark.parametrize(("question", "fits"), COUNTS, ids=[q for q, _ in COUNTS])
def test_count(question: str, fits: Fits, assistant: Assistant, facts: Facts) -> None:
    check_count(assistant.ask(question), [i for i in facts if fits(i)])


INTERVALS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("how many incidents today?", (23,), (30,)),
    ("how many incidents yesterday?", (22,), (23,)),
    ("how many incidents on 21 November?", (21,), (22,)),
    ("how many incidents since Saturday?", (21,), (30,)),
    ("how many incidents last night?", (22, 20), (23, 8)),
    ("how many incidents in the last 2 hours?", (23, 13), (30,)),
    ("how many incidents since 14:00?", (23, 14), (30,)),
    ("how many incidents between 02:00 and 04:00?", (23, 2), (23, 4)),
    ("how many incidents between 23:00 and 01:00 yesterday?", (21, 23), (22, 1)),
    ("how many incidents from 20 November 23:00 to 21 November 03:00?", (20, 23), (21, 3)),
)


@pytest.mark.parametrize(("question", "start", "end"), INTERVALS, ids=[q for q, _, _ in INTERVALS])
def test_count_in_an_interval(
    question: str,
    start: tuple[int, ...],
    end: tuple[int, ...],
    assistant: Assistant,
    facts: Facts,
    during: Callable[..., Fits],
) -> None:
    those = [i for i in facts if during(start, end)(i)]
    assert those
    check_count(assistant.ask(question), those)


def check_count(answer: Answer, those: list[Incident]) -> None:
    (sentence,) = answer.sentences
    assert answer.known
    assert sentence.text.startswith(f"{len(those)} incident")
    latest = sorted(those, key=lambda i: (-i.onset, i.id))[:5]
    assert ids(sentence) == tuple(i.id for i in latest)
    assert ("are cited" in sentence.text) == (len(those) > 5)
    severities = Counter(i.severity for i in those)
    for each in Severity:
        assert (f"{severities[each]} {each}" in sentence.text) == (severities[each] > 0)


def test_incidents_that_had_begun_before_are_told_apart(assistant: Assistant) -> None:
    today = assistant.ask("how many incidents today?").sentences[0].text
    new = assistant.ask("how many new incidents today?").sentences[0].text
    assert today.startswith("11 incidents")
    assert "10 began then, 1 had begun before" in today
    assert new.startswith("10 incidents began")


def test_a_true_zero_says_that_data_were_received(assistant: Assistant) -> None:
    answer = assistant.ask("how many incidents of pc1 since 14:00?")
    assert answer.known
    assert answer.sentences[0].text == "None recorded."
    assert "Data of host/pc1 were received then: 720 samples, the last of 23 Nov 14:59:55 UTC" in answer.text
    assert all(not ids(s) for s in answer.sentences)


def test_a_zero_without_data_is_not_known(assistant: Assistant) -> None:
    answer = assistant.ask("how many incidents between 10:00 and 12:00 on 22 November?")
    assert not answer.known
    assert "no data of any entity were received then; the last data are of 23 Nov 14:59:55 UTC" in answer.text


def test_groups(assistant: Assistant, facts: Facts) -> None:
    days = Counter(
        f"2026-11-{20 + int((i.onset - min(f.onset for f in facts) + 4200) // 86400)}" for i in facts
    )
    text = assistant.ask("how many incidents per day?").text
    assert text.startswith(", ".join(f"{day}: {days[day]}" for day in sorted(days)))
    hosts = Counter(i.entity for i in facts if i.sample_kind == "vector")
    text = assistant.ask("how many incidents per host?").text
    assert all(f"{name}: {n}" in text for name, n in hosts.items())
    fullest = assistant.ask("which day had the most incidents?").text
    assert fullest.startswith(f"2026-11-21: {days['2026-11-21']}")


def test_comparison(assistant: Assistant) -> None:
    text = assistant.ask("were there more incidents today than yesterday?").text
    assert "23 Nov 00:00 UTC to now: 11 incidents" in text
    assert "22 Nov 00:00 UTC to 23 Nov 00:00 UTC: 10 incidents" in text
    assert text.startswith(
        "Yes: 23 Nov 00:00 UTC to now had 1 more than 22 Nov 00:00 UTC to 23 Nov 00:00 UTC"
    )
    assert "had as many as host/node01" in assistant.ask("compare node17 and node01").text


def test_which_are_listed_in_order(assistant: Assistant, facts: Facts) -> None:
    for question, key in (
        ("the 3 worst incidents", lambda i: -i.peak),
        ("the 3 latest incidents", lambda i: -i.onset),
        ("the first 3 incidents", lambda i: i.onset),
        ("the 3 longest incidents", lambda i: i.onset - i.last),
    ):
        answer = assistant.ask(question)
        wanted = sorted(facts, key=key)[:3]
        assert [ids(s) for s in answer.sentences[1:]] == [(i.id,) for i in wanted]
        assert all(s.text.startswith(i.entity) for s, i in zip(answer.sentences[1:], wanted, strict=True))


def test_one_incident_is_one_sentence(assistant: Assistant, facts: Facts) -> None:
    answer = assistant.ask("which incidents were there on node02 today?")
    (only,) = (i for i in facts if on("node02")(i) and i.onset > 1795392000)
    assert [ids(s) for s in answer.sentences] == [(only.id,)]
    assert answer.text == (
        "host/node02: warning, from 23 Nov 02:40 UTC to 23 Nov 02:45 UTC (5 min), peak score 1.5, "
        f"seen only by the autoencoder; cpu.user. [host/node02, 23 Nov 02:40 UTC: {only.id}]"
    )


def test_new_ones_leave_out_those_that_had_begun_before(assistant: Assistant) -> None:
    answer = assistant.ask("which 20 latest incidents began today?")
    assert answer.text.startswith("10 incidents began.")
    assert len(answer.sentences) == 11
    assert "22 Nov" not in answer.text


def test_entities(assistant: Assistant, facts: Facts) -> None:
    hosts = Counter(i.entity for i in facts if i.sample_kind == "vector")
    answer = assistant.ask("which hosts had more than 5 incidents?")
    often = {name: n for name, n in hosts.items() if n > 5}
    assert {s.text.split(":")[0] for s in answer.sentences[1:]} == set(often)
    answer = assistant.ask("which 2 hosts had the most incidents?")
    worst = max((i for i in facts if on("node17")(i)), key=lambda i: i.peak)
    assert answer.sentences[2].text == "host/node17: 7 incidents, the worst critical with peak score 9.3."
    assert ids(answer.sentences[2])[0] == worst.id
    answer = assistant.ask("how many different chambers had incidents in run 321909?")
    assert answer.text.startswith("2 entities: DT/W+1/MB3/S10 and DT/W-2/MB1/S04.")
    assert "None had 50 or more" in assistant.ask("which hosts had at least 50 incidents?").text


def test_entities_without_an_incident(assistant: Assistant) -> None:
    text = assistant.ask("which entities never had an incident?").text
    assert text.startswith("2 of the 11 entities that sent data had none: DT/W+2/MB2/S01 and host/storage2.")
    answer = assistant.ask("which hosts had no incident between 10:00 and 12:00 on 22 November?")
    assert not answer.known


def test_runs_and_what_is_watched(assistant: Assistant) -> None:
    assert assistant.ask("which runs had critical incidents?").text.startswith(
        "4 runs: 321900, 321905, 321909 and 321912."
    )
    assert "names a run" in assistant.ask("which runs were affected on node17?").text
    text = assistant.ask("what do you watch?").text
    assert "11 entities: " in text
    assert "2 detectors: chambers and host-metrics" in text


def test_mean_duration(assistant: Assistant, facts: Facts) -> None:
    lengths = [i.last - i.onset for i in facts if i.status is Status.CLOSED and on("pc1")(i)]
    minutes, seconds = divmod(round(float(np.mean(lengths))), 60)
    text = assistant.ask("what is the mean time to recovery of pc1?").text
    assert text.startswith(f"They lasted {minutes} min {seconds} s on average (median 12 min, ")


def test_aspects_of_one_incident(assistant: Assistant, facts: Facts) -> None:
    latest = max((i for i in facts if on("node17")(i)), key=lambda i: i.onset)
    for question, text in (
        ("when did the incident on node17 start?", "host/node17: it started at 23 Nov 13:00 UTC."),
        (
            "when did the incident on node17 end?",
            "host/node17: its last anomalous sample was at 23 Nov 13:15 UTC",
        ),
        (
            "how long did it last on node17?",
            "host/node17: from 23 Nov 13:00 UTC to 23 Nov 13:15 UTC (15 min).",
        ),
        (
            "what was the score of node17?",
            "host/node17: critical, peak score 9.3 at 23 Nov 13:07:30 UTC (autoencoder 9.3, ",
        ),
        ("who saw the incident on node17?", "host/node17: seen by both detectors of “host-metrics”"),
        (
            "which model flagged node17?",
            "host/node17: detector “host-metrics”, model 20261119T120000Z-1a2b3c4d.",
        ),
        (
            "which lumisection did node17 start in?",
            "host/node17: the report names no run and no lumisection.",
        ),
        ("in which lumisection did MB4 S13 start?", "DT/W0/MB4/S13: run 321912, lumisections 240 to 247."),
    ):
        answer = assistant.ask(question)
        assert answer.sentences[0].text.startswith(text), question
        if "node17" in question:
            assert ids(answer.sentences[0]) == (latest.id,)
            assert "of 7 such incidents; others: " in answer.sentences[1].text
    open_one = assistant.ask("when did the incident on storage1 end?")
    assert "it has not ended" in open_one.text


def test_why_cites_narrative_and_explanation(assistant: Assistant, facts: Facts) -> None:
    answer = assistant.ask("why was node17 flagged?")
    assert "net.eth0.errors was 0.970, expected 0.250" in answer.sentences[0].text
    assert answer.sentences[1].text == "Occlusion blames net.eth0.errors 100% (0.970, expected 0.250)."
    assert len({ids(s) for s in answer.sentences[:2]}) == 1
    chamber = assistant.ask("why was W0 MB4 S13 flagged?")
    assert "layer 6: no hits" in chamber.sentences[0].text
    assert chamber.sentences[1].text == "Occlusion finds 80 % of the blame in 5 cells of 24."
    assert (
        "not been explained further yet"
        in assistant.ask("why was the latest incident on storage1 flagged?").text
    )


def test_a_report_is_shown_by_its_id(assistant: Assistant, facts: Facts) -> None:
    answer = assistant.ask(f"show report {facts[3].id}")
    assert ids(answer.sentences[0]) == (facts[3].id,)
    assert answer.sentences[0].text.startswith("DT/W-2/MB1/S04 was anomalous from 2026-11-20 14:00:00")


def test_is_it_fine(assistant: Assistant, facts: Facts) -> None:
    fine = assistant.ask("is node17 fine?")
    assert fine.known
    assert fine.text.startswith(
        "Yes: no incident of host/node17 is open, and data arrive (the last 5 s ago)."
    )
    assert "ended 1 h 45 min ago" in fine.text
    bad = assistant.ask("is node01 fine?")
    assert bad.text.startswith("No: 1 incident of host/node01 is open.")
    everything = assistant.ask("is everything ok?")
    assert everything.text.startswith("No: 3 incidents of all entities are open.")
    assert "Also, nothing was received from host/storage2 since 22 Nov 21:59:55 UTC." in everything.text


def test_a_silent_entity_is_not_fine_but_unknown(assistant: Assistant) -> None:
    answer = assistant.ask("Is storage2 fine?")
    assert not answer.known
    assert answer.text.startswith(
        "I don't know: nothing was received from host/storage2 since 22 Nov 21:59:55 UTC."
    )


def test_was_it_fine(assistant: Assistant) -> None:
    assert assistant.ask("was node02 fine yesterday evening?").text.startswith("Yes: none recorded.")
    assert assistant.ask("was node02 fine on 21 November?").text.startswith("No: 1 incident of host/node02.")
    gap = assistant.ask("was node02 fine between 10:00 and 12:00 yesterday?")
    assert not gap.known
    assert gap.text.startswith("I don't know")


def test_going_on(assistant: Assistant) -> None:
    assert assistant.ask("is the incident on node01 still open?").text.startswith("Yes: 1 incident is open.")
    over = assistant.ask("is the incident on node17 still going on?").text
    assert over.startswith("No: none of these is open. The latest was:")
    assert "from 23 Nov 13:00 UTC" in over


def test_latest_data(assistant: Assistant) -> None:
    text = assistant.ask("when was data last received from storage2?").text
    assert "of 22 Nov 21:59:55 UTC, 17 h 5 s ago" in text
    assert "Nothing was received from host/storage2" in assistant.ask("which hosts are silent?").text
    assert "None of them is silent" in assistant.ask("which chambers are silent?").text


def test_why_not(assistant: Assistant) -> None:
    answer = assistant.ask("why was storage2 not flagged?")
    assert not answer.known
    assert "are not kept" in answer.text
    assert "But host/node17 was flagged: 7 incidents" in assistant.ask("why was node17 not flagged?").text


@pytest.mark.parametrize(
    "order", ["reboot node17", "please delete all reports", "set the threshold to 2", "Fix it!"]
)
def test_orders_are_declined(order: str, assistant: Assistant) -> None:
    answer = assistant.ask(order)
    assert not answer.known
    assert "nothing was done" in answer.text


@pytest.mark.parametrize(
    "question", ["is node71 fine?", "how many incidents on nod17?", "incidents on 31 February"]
)
def test_a_question_error_is_an_honest_answer(question: str, assistant: Assistant) -> None:
    answer = assistant.ask(question)
    assert not answer.known
    assert answer.understood == "not understood"
    assert answer.sentences[0].text
    assert not ids(answer.sentences[0])


def test_every_cited_report_exists_and_json_takes_the_answer(assistant: Assistant, queries: Queries) -> None:
    answer = assistant.ask("which incidents were there today?")
    read = json.loads(json.dumps(answer.as_json()))
    assert read["text"] == answer.text
    assert read["understood"] == "incidents, 23 Nov 00:00 UTC to now"
    for sentence in read["sentences"]:
        for source in sentence["sources"]:
            report: Report = queries.report(source["id"])
            assert source["id"] in answer.text
            assert report.incident.id == source["id"]


WORDS = """
    how many which what when why who is are was the of on in at since between and today yesterday last
    night 14:00 03:00 node17 node71 host/pc1 * w-2 mb1 wheel -2 run 321909 99 critical or worse warning
    open closed seen by only autoencoder both score above 3 top 5 worst first longest per day host
    compare than more never not fine still going on data received incident incidents firmware disk
    because reboot report 12ab "node 'x ? ! “
"""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=st.lists(st.sampled_from(WORDS.split()), max_size=10).map(" ".join) | st.text(max_size=60))
def test_no_question_raises(question: str, queries: Queries, now: float) -> None:
    answer = Assistant(queries, clock=lambda: now).ask(question)
    assert answer.sentences
    assert answer.understood
    json.dumps(answer.as_json())


def test_an_empty_store(tmp_path: Path, now: float) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    Store.open(url).close()
    queries = Queries.open(url)
    assistant = Assistant(queries, clock=lambda: now)
    try:
        assert assistant.ask("how many incidents?").text.startswith(
            "None recorded. [query: number of incidents]\nBut no data of any entity"
        )
        assert not assistant.ask("is everything fine?").known
        assert not assistant.ask("who wrote the firmware?").known
        assert "nothing was received yet" in assistant.ask("is node17 fine?").text
        assert assistant.ask("which hosts had incidents?").known is False
        assert assistant.ask("what do you watch?").text.startswith("Nothing was received yet.")
    finally:
        queries.close()


def test_entities_with_names_that_are_words(tmp_path: Path, now: float, facts: Facts) -> None:
    """An entity called "open" swallows no condition, and a pattern character in a name widens no query."""
    url = f"sqlite:///{tmp_path / 'words.db'}"
    store = Store.open(url, clock=lambda: now)
    names = ("open", "a[1]", "a1", "ünïcode host")
    stored_changes = tuple(
        StoredChange(i, narrate(i, None))
        for i in (replace(facts[0], id=f"id{n}", entity=name) for n, name in enumerate(names))
    )
    activity = {name: Activity("vector", now - 60, now, 60) for name in names}
    store.commit(Step("test", stored_changes=stored_changes, activity=activity))
    store.close()
    queries = Queries.open(url)
    assistant = Assistant(queries, clock=lambda: now)
    try:
        assert assistant.ask("how many open incidents?").sentences[0].text == "None recorded."
        assert ids(assistant.ask('how many incidents of "open"?').sentences[0]) == ("id0",)
        assert assistant.ask("how many incidents of a[1]?").understood == "number of incidents, a[1]"
        assert ids(assistant.ask("how many incidents of ünïcode host?").sentences[0]) == ("id3",)
    finally:
        queries.close()


def test_importing_the_assistant_is_cheap() -> None:
    heavy = "{'torch', 'transformers', 'bm25s', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, anomalyd.assistant.answer; sys.exit(str({heavy}) if {heavy} else 0)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
