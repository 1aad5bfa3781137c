"""The network: BERT with a head for the first and last token of the answer (Devlin et al., NAACL 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.encoder import WEIGHTS_SHA256, fill, installed_folder
from anomalyd.assistant.reader.windows import Window
from anomalyd.extras import extra


def untrained(seed: int, dtype: Any = None, changed: Callable[[str, Any], Any] | None = None) -> Any:
    """Build the network from the packaged MiniLM, with a random head, in 32 bits or in `dtype`.

    `changed` gives what a weight of this name becomes.

    Embeddings are frozen. There is no dropout: on CPUs its random masks take longer than all the rest.

    Raises:
        ModelMissing, ModelDamaged: the package is not there, or its weights are not those published.

    """
    import torch

    with extra("assistant", "the reader"):
        from transformers import AutoConfig, AutoModelForQuestionAnswering

    folder = installed_folder()
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    torch.manual_seed(seed)
    # Eager attention is the fastest on CPUs at this size.
    build: Any = AutoModelForQuestionAnswering.from_config
    network = build(config, attn_implementation="eager", dtype=dtype or torch.float32)
    become = changed or (lambda name, tensor: tensor)
    fill(network.bert, folder, WEIGHTS_SHA256, lambda name, tensor: become(f"bert.{name}", tensor))
    for parameter in network.bert.embeddings.parameters():
        parameter.requires_grad = False
    return network


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of b questions, padded to t tokens: `ids`, `kinds` and `mask` are (b, t)."""

    ids: NDArray[np.int64]
    kinds: NDArray[np.int64]
    mask: NDArray[np.int64]

    @classmethod
    def of(cls, windows: Sequence[Window], padding: int) -> Batch:
        """Pad windows to the longest of them."""
        shape = len(windows), max(len(w.ids) for w in windows)
        ids = np.full(shape, padding, dtype=np.int64)
        kinds, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, window in enumerate(windows):
            n = len(window.ids)
            ids[row, :n], kinds[row, :n], mask[row, :n] = window.ids, window.kinds, 1
        return cls(ids, kinds, mask)


def logits(network: Any, batch: Batch) -> tuple[Any, Any]:
    """Give the logits of the first and of the last token, (b, t) each, as tensors of float32."""
    import torch

    given: dict[str, Any] = {
        "input_ids": torch.from_numpy(batch.ids),
        "attention_mask": torch.from_numpy(batch.mask),
    }
    if getattr(network.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = torch.from_numpy(batch.kinds)
    out = network(**given)
    return out.start_logits.float(), out.end_logits.float()
