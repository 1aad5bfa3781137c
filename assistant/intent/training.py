"""Train the heads: `python -m anomalyd.assistant.intent.training [--out FOLDER] [--without PART ...]`.

What is learned is what the grammar makes of every question of the evaluation that it answers exactly, and
that the unanswerable ones are none. Seeded; two minutes of CPU.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from anomalyd.assistant.encoder import WEIGHTS_SHA256, installed_folder
from anomalyd.assistant.intent.labels import HEADS, UNKNOWN, labels_of, without_names
from anomalyd.assistant.intent.network import CARD, LAYERS, MAX_TOKENS, TUNED, WEIGHTS
from anomalyd.errors import QuestionError

RANK, EPOCHS, BATCH = 32, 11, 32
_RATES = (3e-4, 2e-3)
_SMOOTHING, _DROPPED = 0.03, 0.1


@dataclass(frozen=True, slots=True)
class Example:
    """A text without names, and its labels; None where no report answers it. `part`: of which set it is."""

    text: str
    labels: Mapping[str, str] | None
    part: str


def gathered(folder: Path, store: int = 0, most: int | None = None) -> list[Example]:
    """Ask the grammar every question of the evaluation that stands for itself (`most`: the first ones)."""
    from anomalyd.assistant.answer import Assistant
    from anomalyd.assistant.evaluation.grade import Gold
    from anomalyd.assistant.evaluation.run import questions
    from anomalyd.assistant.evaluation.stores import generate, plans
    from anomalyd.assistant.language.names import Names
    from anomalyd.assistant.language.times.time_meaning import Calendar
    from anomalyd.assistant.understanding.understand import understand
    from anomalyd.reports.queries import Queries

    plan = plans()[store]
    path = folder / f"{plan.name}.db"
    if not path.exists():
        generate(plan, folder)
    examples: dict[str, Example] = {}
    with closing(Queries.open(f"sqlite:///{path}")) as queries, closing(sqlite3.connect(path)) as connection:
        gold = Gold(connection, plan)
        assistant = Assistant(queries, clock=lambda: plan.now, groups=plan.groups)
        names = Names.of(queries, plan.groups)
        for kind, item, phrasing, part in islice(questions(), most):
            if kind == "documents" or "before" in item:
                continue
            assistant.session.reset()
            question = gold.question(phrasing)
            answer = assistant.ask(question)
            unanswerable = kind == "unanswerable"
            if gold.grade(item, answer).verdict != "exact" or unanswerable == (answer.typed is not None):
                continue
            try:
                read = understand(question, queries, names, Calendar(plan.now))
                text = without_names(read.marked, read.atoms) or question
            except QuestionError:
                text = question
            labels = None if answer.typed is None else labels_of(answer.typed)
            examples.setdefault(text, Example(text, labels, part))
    return list(examples.values())


def trained(
    examples: Sequence[Example], seed: int = 0, epochs: int = EPOCHS
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Train on examples; give the tensors that differ from MiniLM, and the labels of each head."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.manual_seed(seed)
    draw = random.Random(seed)
    answerable = [e.labels for e in examples if e.labels is not None]
    labels = {head: sorted({each[head] for each in answerable}) for head in HEADS}
    labels["ask"].append(UNKNOWN)
    wanted = torch.tensor([_targets(e, labels) for e in examples])
    folder = installed_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network: Any = AutoModel.from_pretrained(
        folder, local_files_only=True, attn_implementation="eager"
    ).eval()
    inputs = _below(network, tokenizer, [e.text for e in examples])
    layers = torch.nn.ModuleList(network.encoder.layer[LAYERS - TUNED : LAYERS])
    before = {name: tensor.detach().clone() for name, tensor in layers.named_parameters()}
    heads = torch.nn.ModuleDict({h: torch.nn.Linear(2 * 384, len(labels[h])) for h in HEADS})
    optimizer = torch.optim.AdamW(
        [{"params": layers.parameters()}, {"params": heads.parameters()}], lr=_RATES[0], weight_decay=0.05
    )
    steps, done = epochs * -(-len(examples) // BATCH), 0
    for _ in range(epochs):
        for batch in _batches(inputs, draw):
            done += 1
            for group, rate in zip(optimizer.param_groups, _RATES, strict=True):
                group["lr"] = rate * min(1.0, done / 30) * max(0.02, 1.0 - done / steps)
            pooled = _pooled(layers, [_thinned(inputs[i]) for i in batch])
            losses = [
                torch.nn.functional.cross_entropy(
                    heads[head](pooled), wanted[batch, k], ignore_index=-100, label_smoothing=_SMOOTHING
                )
                for k, head in enumerate(HEADS)
                if (wanted[batch, k] != -100).any()
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return _difference(layers, before, heads), labels


def _targets(example: Example, labels: Mapping[str, list[str]]) -> list[int]:
    """Give the number of each label; of what is unanswerable only `ask` is learned."""
    if example.labels is None:
        return [labels[h].index(UNKNOWN) if h == "ask" else -100 for h in HEADS]
    return [labels[h].index(example.labels[h]) for h in HEADS]


def _below(network: Any, tokenizer: Any, texts: Sequence[str]) -> list[Any]:
    """Give what the layers that stay as they are make of each text, (tokens, 384)."""
    import torch

    found = []
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")["input_ids"]
            hidden = network.embeddings(ids)
            for layer in network.encoder.layer[: LAYERS - TUNED]:
                hidden = _first(layer(hidden))
            found.append(hidden[0].clone())
    return found


def _batches(inputs: Sequence[Any], draw: random.Random) -> Iterable[list[int]]:
    """Give batches of texts of like length, in any order."""
    order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]) + 4 * draw.random())
    batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    draw.shuffle(batches)
    return batches


def _thinned(tokens: Any) -> Any:
    """Leave out a tenth of the tokens, so that no single word decides."""
    import torch

    keep = torch.rand(len(tokens)) > _DROPPED
    keep[0] = keep[-1] = True
    return tokens[keep]


def _pooled(layers: Any, texts: Sequence[Any]) -> Any:
    """Give mean and maximum over the tokens behind the tuned layers, (n, 768)."""
    import torch

    longest = max(map(len, texts))
    hidden, mask = torch.zeros(len(texts), longest, 384), torch.zeros(len(texts), longest)
    for i, text in enumerate(texts):
        hidden[i, : len(text)], mask[i, : len(text)] = text, 1.0
    away = (1.0 - mask[:, None, None, :]) * -1e9
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for layer in layers:
            hidden = _first(layer(hidden, away))
    hidden, mask = hidden.float(), mask[:, :, None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return torch.cat([mean, (hidden + (mask - 1.0) * 1e4).amax(1)], 1)


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _difference(layers: Any, before: Mapping[str, Any], heads: Any) -> dict[str, Any]:
    """Give each tuned matrix as the best difference of a rank (LoRA, Hu et al. 2022), all else as it is."""
    import torch

    tensors = {f"heads.{name}": tensor for name, tensor in heads.named_parameters()}
    for name, tensor in layers.named_parameters():
        number, _, rest = name.partition(".")
        full = f"encoder.layer.{LAYERS - TUNED + int(number)}.{rest}"
        if tensor.ndim < 2:
            tensors[full] = tensor
            continue
        u, s, v = torch.linalg.svd((tensor - before[name]).detach(), full_matrices=False)
        tensors[f"{full}.up"] = u[:, :RANK] * s[:RANK].sqrt()
        tensors[f"{full}.down"] = s[:RANK].sqrt()[:, None] * v[:RANK]
    return {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}


def written(
    tensors: Mapping[str, Any], labels: Mapping[str, list[str]], card: Mapping[str, Any], out: Path
) -> None:
    """Write weights and card."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), out / WEIGHTS)
    text = json.dumps({**card, "minilm_sha256": WEIGHTS_SHA256, "labels": labels}, indent=1)
    (out / CARD).write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--without", nargs="*", default=[], help="sets that are held out, such as 'blind 9'")
    parser.add_argument("--stores", type=Path, help="where the generated store is, or is put")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        examples = [e for e in gathered(given.stores or Path(scratch)) if e.part not in given.without]
    tensors, labels = trained(examples, given.seed)
    card = {"questions": len(examples), "seed": given.seed, "rank": RANK, "held out": given.without}
    written(tensors, labels, card, given.out)


if __name__ == "__main__":
    main()
