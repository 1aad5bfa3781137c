"""A cross-encoder that orders what was found anew (Nogueira and Cho 2019). None is shipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from anomalyd.assistant.encoder import fast_type
from anomalyd.assistant.retrieval.passage import Hit
from anomalyd.errors import ModelMissing
from anomalyd.extras import extra

_MAX_TOKENS = 256


class Reranker:
    """Reads question and passage together and scores how well they fit: better than two vectors, slower."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load one in Hugging Face's layout: a sequence classifier, whose last label is "relevant".

        Raises:
            MissingExtra: what the assistant needs is not installed.
            ModelMissing: there is none in the folder.

        """
        with extra("assistant", "the reranker"):
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise ModelMissing(f"{folder}: no reranker in Hugging Face's layout: {error}") from error
        return cls(network.to(fast_type()).eval(), tokenizer)

    def order(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """Give the hits by this network's score, best first; their own scores stay as they are."""
        import torch

        if not hits:
            return []
        texts = [f"{hit.passage.title}\n{hit.passage.text}" for hit in hits]
        batch = self._tokenizer(
            [question] * len(texts),
            texts,
            padding=True,
            truncation=True,
            max_length=_MAX_TOKENS,
            return_tensors="pt",
        )
        with torch.inference_mode():
            scores = self._network(**batch).logits[:, -1].float().tolist()
        order = sorted(range(len(hits)), key=lambda k: -scores[k])
        return [hits[k] for k in order]
