"""The classifier: the first layers of MiniLM, the last of them tuned, and a linear head for each label.

It is computed with NumPy: a question is one short text, and importing PyTorch and transformers would take
twice as long as all the rest of a cold `anomalyd ask`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.encoder import installed_folder
from anomalyd.assistant.intent.labels import HEADS
from anomalyd.errors import ModelDamaged, ModelMissing
from anomalyd.extras import extra

WEIGHTS, CARD = "intent.safetensors", "intent.json"
LAYERS, TUNED = 6, 3
"""Layers that are computed, and how many of them, the last, are tuned."""
MAX_TOKENS = 64
_ATTENTION_HEADS = 12
_EMBEDDINGS = ("embeddings.LayerNorm", "embeddings.position_embeddings", "embeddings.token_type")
_Array = NDArray[np.float32]
_Half = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a question asks: for each head the probability of each label."""

    heads: Mapping[str, Mapping[str, float]]

    def least(self, labels: Mapping[str, str]) -> float:
        """Give the probability of the label that is least likely of these; one never learned says nothing."""
        return min((p[labels[head]] for head, p in self.heads.items() if labels[head] in p), default=1.0)


class IntentNetwork:
    """A text without names -> what it asks.

    BERT's layers (Devlin et al. 2019) as MiniLM has them; mean and maximum of the last over the tokens go
    into the heads.
    """

    def __init__(
        self, tokenizer: Any, words: Any, weights: Mapping[str, _Half], labels: Mapping[str, list[str]]
    ) -> None:
        self._tokenizer = tokenizer
        self._words = words
        self._weights = weights
        self._labels = labels

    @classmethod
    def load(cls, folder: Path | None = None) -> IntentNetwork:
        """Load the packaged heads, or others from `folder`.

        Raises:
            MissingExtra: MiniLM is not installed.
            ModelMissing: a file is not there.
            ModelDamaged: the weights and their labels do not fit.

        """
        with extra("assistant", "the learned second opinion"):
            from safetensors import safe_open
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        folder = folder or Path(__file__).parent / "model"
        base = installed_folder()
        try:
            labels = json.loads((folder / CARD).read_text(encoding="utf-8"))["labels"]
            tuned = load_file(folder / WEIGHTS)
            tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
            path = str(base / "model.safetensors")
            with safe_open(path, framework="np") as tensors:
                names = [n for n in tensors.keys() if n.startswith(_EMBEDDINGS) or _layer(n) < LAYERS]  # noqa: SIM118
            weights = {}
            for name in names:
                # Opened anew for each: what was read of the file so far would stay in memory.
                with safe_open(path, framework="np") as tensors:
                    weights[name] = _tuned(name, tensors.get_tensor(name), tuned)
            file: Any = safe_open(path, framework="np")
            words = file.get_slice("embeddings.word_embeddings.weight")
        except OSError as error:
            raise ModelMissing(
                f"{folder}: no heads of the assistant ({error}); reinstall anomalyd"
            ) from error
        weights |= {name: tensor for name, tensor in tuned.items() if name.startswith("heads.")}
        if any(len(weights.get(f"heads.{h}.bias", ())) != len(labels.get(h, "?")) for h in HEADS):
            raise ModelDamaged(f"{folder}: weights and labels do not fit; reinstall anomalyd")
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return cls(tokenizer, words, weights, labels)

    def read(self, text: str) -> Opinion:
        """Read one text."""
        x = self._embedded(self._tokenizer.encode(text).ids)
        for layer in range(LAYERS):
            x = self._transformed(x, f"encoder.layer.{layer}.")
        pooled = np.concatenate([x.mean(0), x.max(0)])
        heads = {}
        for head in HEADS:
            scores = self._linear(pooled, f"heads.{head}")
            exp = np.exp(scores - scores.max())
            heads[head] = dict(zip(self._labels[head], (exp / exp.sum()).tolist(), strict=True))
        return Opinion(heads)

    def _embedded(self, ids: list[int]) -> _Array:
        w = self._weights
        # One row at a time: the whole table is half of the memory, of which a question needs twenty rows.
        words = np.concatenate([self._words[i : i + 1] for i in ids])
        places = w["embeddings.position_embeddings.weight"][: len(ids)]
        kind = w["embeddings.token_type_embeddings.weight"][0]
        return self._normed(words + places + kind, "embeddings.LayerNorm")

    def _transformed(self, x: _Array, layer: str) -> _Array:
        tokens, width = x.shape
        split = (tokens, _ATTENTION_HEADS, width // _ATTENTION_HEADS)
        query, key, value = (
            self._linear(x, f"{layer}attention.self.{part}").reshape(split).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(width // _ATTENTION_HEADS)
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        mixed = (attention @ value).swapaxes(0, 1).reshape(tokens, width)
        x = self._normed(
            x + self._linear(mixed, f"{layer}attention.output.dense"), f"{layer}attention.output.LayerNorm"
        )
        inner = self._linear(x, f"{layer}intermediate.dense")
        inner = inner * 0.5 * (1.0 + _erf(inner / math.sqrt(2.0)))
        return self._normed(x + self._linear(inner, f"{layer}output.dense"), f"{layer}output.LayerNorm")

    def _linear(self, x: _Array, name: str) -> _Array:
        weight = self._weights[f"{name}.weight"].astype(np.float32)
        return x @ weight.T + self._weights[f"{name}.bias"].astype(np.float32)

    def _normed(self, x: _Array, name: str) -> _Array:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-12)
        normed: _Array = centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def _erf(x: _Array) -> _Array:
    """Give the error function within 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    rising = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return (np.sign(x) * (1.0 - rising * np.exp(-np.square(x)))).astype(np.float32)


def _tuned(name: str, tensor: _Array, tuned: Mapping[str, _Half]) -> _Half:
    """Give a tensor of MiniLM as it was tuned, in half precision: that takes half of the memory."""
    if f"{name}.up" in tuned:
        tensor = tensor + tuned[f"{name}.up"].astype(np.float32) @ tuned[f"{name}.down"].astype(np.float32)
    half: _Half = tuned.get(name, tensor).astype(np.float16)
    return half


def _layer(name: str) -> int:
    """Give the number of the layer a tensor of MiniLM is of; those of no layer are behind all."""
    parts = name.split(".")
    return int(parts[2]) if name.startswith("encoder.layer.") else 1_000
