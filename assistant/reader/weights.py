"""The shipped reader: what differs from MiniLM, as products of two thin matrices.

    reader.safetensors   of each trained matrix W `W.up` (out, r) and `W.down` (r, in): W is MiniLM's plus
                         up @ down; biases, normalisations and the head as they are; all in 16 bits
    reader.json          the card: recipe, data and licences, figures, calibration, sha256 of the weights

It is the low-rank update of Hu et al. (LoRA, ICLR 2022), taken from a full tuning by singular values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anomalyd.assistant.encoder import WEIGHTS_SHA256
from anomalyd.assistant.reader.calibration import Calibration
from anomalyd.assistant.reader.network import untrained
from anomalyd.errors import ModelDamaged, ModelMissing

WEIGHTS, CARD = "reader.safetensors", "reader.json"

_REMEDY = "reinstall anomalyd, or train it again with `anomalyd train-reader`"


def difference(network: Any, rank: int) -> dict[str, Any]:
    """Give what a tuned network differs by from MiniLM, of each matrix the best of a rank."""
    import torch

    tensors: dict[str, Any] = {}
    base = dict(untrained(0).named_parameters())
    for name, tuned in network.named_parameters():
        if not tuned.requires_grad:
            continue
        if tuned.ndim < 2 or name.startswith("qa_outputs"):
            tensors[name] = tuned.detach().half().contiguous()
            continue
        u, s, v = torch.linalg.svd((tuned - base[name]).detach().float(), full_matrices=False)
        root = s[:rank].sqrt()
        tensors[f"{name}.up"] = (u[:, :rank] * root).half().contiguous()
        tensors[f"{name}.down"] = (root[:, None] * v[:rank]).half().contiguous()
    return tensors


def applied(tensors: Mapping[str, Any], dtype: Any = None) -> Any:
    """Give the network that MiniLM becomes by a difference, in 32 bits or in `dtype`.

    Raises:
        ModelMissing, ModelDamaged: MiniLM is not there, or the difference does not fit it.

    """

    def changed(name: str, tensor: Any) -> Any:
        if name in tensors:
            return tensors[name].float()
        if f"{name}.up" in tensors and f"{name}.down" in tensors:
            return tensor + tensors[f"{name}.up"].float() @ tensors[f"{name}.down"].float()
        return tensor

    network = untrained(0, dtype, changed)
    wanted = {n for n, p in network.named_parameters() if p.requires_grad}
    found = {name.removesuffix(".up").removesuffix(".down") for name in tensors}
    if wanted != found:
        raise ModelDamaged(f"the reader's weights lack or add {sorted(wanted ^ found)[:3]}; {_REMEDY}")
    state = network.state_dict()
    for name in wanted:
        if not name.startswith("bert."):
            state[name].copy_(tensors[name].float())
    return network.eval()


def save_reader(folder: Path, tensors: Mapping[str, Any], calibration: Calibration, card: Any) -> None:
    """Write weights and card."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    data = save(dict(tensors))
    (folder / WEIGHTS).write_bytes(data)
    written = {
        **card,
        "calibration": asdict(calibration),
        "minilm_sha256": WEIGHTS_SHA256,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
    }
    (folder / CARD).write_text(json.dumps(written, indent=1) + "\n")


def load_reader(folder: Path, dtype: Any = None) -> tuple[Any, Calibration]:
    """Load what `save_reader` wrote, in 32 bits or in `dtype`.

    Raises:
        ModelMissing: it is not there.
        ModelDamaged: the files do not hold together.

    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = (folder / WEIGHTS).read_bytes()
        card = json.loads((folder / CARD).read_bytes())
        calibration = Calibration(**card["calibration"])
        wanted = (card["weights_sha256"], card["minilm_sha256"])
    except OSError as error:
        raise ModelMissing(f"{folder}: no reader ({error}); {_REMEDY}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"{folder / CARD}: {error!r}; {_REMEDY}") from error
    if wanted != (hashlib.sha256(data).hexdigest(), WEIGHTS_SHA256):
        raise ModelDamaged(f"{folder}: the weights are not those of the card; {_REMEDY}")
    try:
        return applied(load(data), dtype), calibration
    except (SafetensorError, RuntimeError) as error:
        raise ModelDamaged(f"{folder / WEIGHTS}: {error}; {_REMEDY}") from error
