"""What was found and what people said of it: the schema, the store (write), the queries (read).

Knows nothing of how anything is scored or shown.
"""

from typing import TYPE_CHECKING

from anomalyd.lazy import lazy_exports

if TYPE_CHECKING:
    from anomalyd.reports.queries import Queries, Selection
    from anomalyd.reports.report import Evidence, Incident, Report
    from anomalyd.reports.storage.store import Store

__all__ = ["Evidence", "Incident", "Queries", "Report", "Selection", "Store"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Evidence": "report",
        "Incident": "report",
        "Queries": "queries",
        "Report": "report",
        "Selection": "queries",
        "Store": "storage.store",
    },
)
