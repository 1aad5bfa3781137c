"""Pictures of one explained sample, as bytes of PNG or SVG: the same input gives the same bytes."""

from __future__ import annotations

from anomalyd.interpret.pictures.map_drawing import draw_map
from anomalyd.interpret.pictures.vector_drawing import draw_vector, drawn_metrics

__all__ = ["draw_map", "draw_vector", "drawn_metrics"]
