"""The section `assistant`: what it reads besides the store, and which networks read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from anomalyd.daemon.config.section import STRICT, Fraction

if TYPE_CHECKING:
    from anomalyd.assistant.files import AssistantFiles


class AssistantConfig(BaseModel):
    """Folders; null for what is shipped."""

    model_config = STRICT

    index: str = "anomalyd-index"
    documents: list[str] = []
    encoder: str | None = None
    reader: str | None = None
    reranker: str | None = None
    min_probability: Fraction = 0.5

    def files(self, models: str | None = None) -> AssistantFiles:
        """Give the files; `models` is the folder of the trained models, if there is one."""
        from anomalyd.assistant.files import AssistantFiles

        return AssistantFiles(
            index=Path(self.index),
            documents=tuple(map(Path, self.documents)),
            models=_path(models),
            encoder=_path(self.encoder),
            reader=_path(self.reader),
            reranker=_path(self.reranker),
            min_probability=self.min_probability,
        )


def _path(folder: str | None) -> Path | None:
    return None if folder is None else Path(folder)
