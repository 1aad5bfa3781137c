"""Why a score is what it is: attributions and their pictures.

Stands on `detectors`; knows nothing of Kafka and reports.
"""

from typing import TYPE_CHECKING

from anomalyd.lazy import lazy_exports

if TYPE_CHECKING:
    from anomalyd.interpret.attribution import Attribution
    from anomalyd.interpret.pictures.drawing import draw_map, draw_vector

__all__ = ["Attribution", "draw_map", "draw_vector"]

__getattr__ = lazy_exports(
    __name__,
    {"Attribution": "attribution", "draw_map": "pictures.drawing", "draw_vector": "pictures.drawing"},
)
