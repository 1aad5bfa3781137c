"""What people said of it, and what the detector took for normal: remarks, verdicts, adaptations."""

from __future__ import annotations

import streamlit as st

from anomalyd.dashboard import access
from anomalyd.dashboard.incident import tables
from anomalyd.dashboard.style import literal
from anomalyd.dashboard.wording import moment
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident

_LEDGER = 20  # adaptations, and words, that are listed: the latest


def show(queries: Queries, incident: Incident) -> None:
    """Show remarks on the report, then what was said and assumed of the entity."""
    remarks = queries.remarks(incident.id)
    if remarks:
        st.markdown("##### What people wrote")
        rows = [
            {"at (UTC)": moment(r.recorded), "who": r.who, "what": r.kind.value, "text": r.text}
            for r in remarks
        ]
        st.dataframe(rows, hide_index=True)
    selection = Selection(entities=(incident.entity,), detectors=(incident.detector,))
    said = tables.words(queries.words(selection, _LEDGER), incident.entity)
    if said:
        st.markdown("##### What operators said of the entity")
        st.dataframe(said, hide_index=True)
    adapted = tables.adaptations(queries.adaptations(selection, _LEDGER), incident.entity)
    if adapted:
        st.markdown("##### What was taken for the new normal")
        st.dataframe(
            [
                {
                    "at (UTC)": moment(each.time),
                    "what": each.what,
                    "assumed": each.text,
                    "undone": "" if each.undone is None else moment(each.undone),
                    "undo": each.undo_outcome
                    or (f"anomalyd adaptations undo {each.id}" if each.undoable else "–"),
                }
                for each in adapted
            ],
            hide_index=True,
        )
        if access.may_annotate():
            st.caption(literal("They are undone on the page Models."))
