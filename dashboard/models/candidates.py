"""Candidates beside the models they were to replace: what the gate said, and on what the two differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from anomalyd.dashboard import access, navigation
from anomalyd.dashboard.models import versions
from anomalyd.dashboard.style import literal, numbers_table, told
from anomalyd.dashboard.wording import moment, score

if TYPE_CHECKING:
    from anomalyd.detectors.library import ModelLibrary

_SHOWN = 5
_LISTED = 15


def show(folder: Path, library: ModelLibrary, name: str) -> None:
    """Show the newest trainings of a detector that were judged, and what may be done with the candidates."""
    judged = read(folder / name)
    if not judged:
        return
    st.markdown("##### Trained and judged beside the model at work")
    st.html(numbers_table([row_of(version, decision) for version, decision in judged.items()]))
    for version, decision in judged.items():
        if decision["why"]:
            st.caption(literal(f"{version} was not promoted: {decision['why']}."))
    chosen = st.selectbox("Where they differ", list(judged), key=f"candidate of {name}")
    differs = judged[chosen].get("differs")
    if differs is None:
        st.caption("It was not compared sample by sample: there was no model before, or of other metrics.")
    else:
        _show_difference(name, differs)
    if not judged[chosen]["promoted"] and access.may_annotate() and (folder / name / chosen).is_dir():
        _offer(folder, library, name, chosen)


def read(shelf: Path) -> dict[str, dict[str, Any]]:
    """Give version -> what the gate decided, the newest first; what cannot be read is left out."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(shelf.glob("*.json"), reverse=True)[:_SHOWN]:
        try:
            decision = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(decision, dict) and {"promoted", "why", "candidate", "old"} <= decision.keys():
            found[file.stem] = decision
    return found


def kept(shelf: Path) -> list[str]:
    """Name the candidates that are kept, the newest first."""
    return sorted((each.name for each in shelf.glob("[!.]*") if each.is_dir()), reverse=True)


def row_of(version: str, decision: dict[str, Any]) -> dict[str, str]:
    """Give a row of the list of trainings."""
    new, old = decision["candidate"], decision["old"]
    differs = decision.get("differs") or {}
    return {
        "version": version,
        "promoted": "yes" if decision["promoted"] else "no",
        "alerts, new": f"{new['alert_rate']:.2%}",
        "alerts, old": "–" if old is None else f"{old['alert_rate']:.2%}",
        "made faults found, new": f"{new['faults_found']:.0%}",
        "made faults found, old": "–" if old is None else f"{old['faults_found']:.0%}",
        "only new alerts": f"{differs['candidate']:,}" if differs else "–",
        "only old alerts": f"{differs['old']:,}" if differs else "–",
    }


def _show_difference(name: str, differs: dict[str, Any]) -> None:
    st.html(
        told(
            f"Of {differs['samples']:,} samples from {moment(differs['since'])} to "
            f"{moment(differs['until'])} UTC the new one alone alerts on {differs['candidate']:,}, "
            f"the old one alone on {differs['old']:,}, "
            f"both on {differs['both']:,}."
        )
    )
    if not differs["entities"]:
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.html(
            numbers_table(
                [
                    {
                        "entity": each["entity"],
                        "only new": f"{each['candidate']:,}",
                        "only old": f"{each['old']:,}",
                        "both": f"{each['both']:,}",
                    }
                    for each in differs["entities"][:_LISTED]
                ]
            )
        )
    with right:
        st.html(
            numbers_table(
                [
                    {
                        "entity": each["entity"],
                        "at (UTC)": moment(each["time"]),
                        "score, new": score(each["candidate"]),
                        "score, old": score(each["old"]),
                    }
                    for each in differs["differing"][:_LISTED]
                ]
            )
        )
    entities = [each["entity"] for each in differs["entities"]]
    entity = st.selectbox("Look at an entity", entities, index=None, key=f"differing entity of {name}")
    if entity is not None:
        navigation.go("explore", {"entity": entity})


def _offer(folder: Path, library: ModelLibrary, name: str, version: str) -> None:
    with st.expander("Promote it all the same"):
        st.html(
            told(
                f"Publish {version} as the newest version of {name}: daemons take it within seconds, unless "
                "an earlier one is kept at work."
            )
        )
        who = access.name_field(f"who promotes {name}")
        if st.button("Do it", type="primary", key=f"promote {name}", disabled=not who):
            versions.do(lambda: promoted(folder, library, name, version, who))


def promoted(folder: Path, library: ModelLibrary, name: str, version: str, who: str) -> str:
    """Publish a candidate.

    Raises:
        ModelError: it cannot be used, or the folder of models cannot be written.

    """
    from anomalyd.detectors.library import ModelLibrary
    from anomalyd.errors import ModelError

    pair = ModelLibrary(folder).load(name, version).pair
    try:
        published = library.publish(name, pair)
    except OSError as error:
        raise ModelError(f"the models cannot be written: {error}; do it where the daemon runs") from error
    return f"{name}: {published} is published by {who}."
