"""A question in plain words to an answer with sources.

Stands on `reports`; knows nothing of Kafka and detectors.
"""

from typing import TYPE_CHECKING

from anomalyd.lazy import lazy_exports

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer, Assistant

__all__ = ["Answer", "Assistant"]

__getattr__ = lazy_exports(
    __name__,
    {"Answer": "answer", "Assistant": "answer"},
)
