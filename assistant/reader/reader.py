"""Read passages for the words that answer a question, and say how probable it is that they do."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from anomalyd.assistant.encoder import fast_type, installed_folder
from anomalyd.assistant.reader.calibration import Calibration
from anomalyd.assistant.reader.network import Batch, logits
from anomalyd.assistant.reader.sentences import around, sentences
from anomalyd.assistant.reader.spans import Guess, best_span
from anomalyd.assistant.reader.weights import CARD, load_reader
from anomalyd.assistant.reader.windows import Window, WindowShape, windows_of
from anomalyd.assistant.retrieval.passage import Hit, Passage, SourceKind
from anomalyd.errors import ModelMissing
from anomalyd.extras import extra

SHIPPED = Path(__file__).parent / "model"

_UNCALIBRATED = Calibration(0.3, -1.0)  # of another reader nothing is known: it has to be much surer
_RETRIEVAL = 20.0  # logits that a retrieval score of 1 is worth when passages are compared
_AT_ONCE = 16  # windows

# A word that may name something: node17, /dev/md0, 321900, disk.sda.write, DT/W-2/MB1/S05.
_NAME = re.compile(r"[\w./+:-]*(?:\d|[a-z0-9][_/.][a-z0-9])[\w./+:-]*", re.IGNORECASE)
# A count, a time or a year names nothing; a number of five digits is a run's.
_NUMBER = re.compile(r"\d{1,4}|[\d.:,-]+\D|\d+(?:st|nd|rd|th|am|pm|ms|min|h|s|d|x|%)|[\d:.-]*[:.-][\d:.-]*")


@dataclass(frozen=True, slots=True)
class Span:
    """An answer: characters `start` to `end` of the passage's text, and the whole sentence around them.

    `probability`: that the sentence holds the answer.
    """

    passage: Passage
    start: int
    end: int
    sentence_start: int
    sentence_end: int
    probability: float

    @property
    def text(self) -> str:
        """The words that answer."""
        return self.passage.text[self.start : self.end]

    @property
    def sentence(self) -> str:
        """The sentence in which they stand; a span without it may lose its "not"."""
        return self.passage.text[self.sentence_start : self.sentence_end]


class Reader:
    """BERT with a head for spans (Devlin et al., NAACL 2019), and a calibrated "no answer".

    Scores, ids, counts and times should come from fields, never from here.
    """

    def __init__(
        self, network: Any, tokenizer: Any, calibration: Calibration, threshold: float = 0.5
    ) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._calibration = calibration
        self._shape = WindowShape()
        self.threshold = threshold

    @classmethod
    def load(cls, folder: Path | None = None, threshold: float = 0.5) -> Self:
        """Load the shipped reader, one that `anomalyd train-reader` wrote, or one in Hugging Face's layout.

        The probabilities of the last are not calibrated; they are on the low side.

        Raises:
            MissingExtra: what the assistant needs is not installed.
            ModelMissing: there is no reader.
            ModelDamaged: its files do not hold together.

        """
        with extra("assistant", "the reader"):
            from transformers import AutoModelForQuestionAnswering, AutoTokenizer
        folder = folder or SHIPPED
        if (folder / CARD).exists() or not (folder / "config.json").exists():
            network, calibration = load_reader(folder, fast_type())
            tokenizer = AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)
        else:
            calibration = _UNCALIBRATED
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                network = AutoModelForQuestionAnswering.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True
                )
            except (OSError, ValueError) as error:
                raise ModelMissing(f"{folder}: no reader in Hugging Face's layout: {error}") from error
        return cls(network.to(fast_type()).eval(), tokenizer, calibration, threshold)

    def read(self, question: str, hits: Sequence[Hit], entities: Sequence[str] | None = None) -> Span | None:
        """Give the best answer that these passages hold; None if none is probable enough."""
        found = self.candidates(question, hits, entities)
        return found[0] if found and found[0].probability >= self.threshold else None

    def candidates(
        self, question: str, hits: Sequence[Hit], entities: Sequence[str] | None = None
    ) -> list[Span]:
        """Give the best span of each passage, best first, whatever its probability.

        A passage that lacks one of the `entities` in its text or metadata is not read: an answer about
        another host is worse than none. By default they are what looks like a name in the question.
        """
        wanted = names_in(question) if entities is None else entities
        read = [hit for hit in hits if _speaks_of(hit.passage, wanted)]
        heads = [_head(hit.passage) for hit in read]
        texts = [head + hit.passage.text for head, hit in zip(heads, read, strict=True)]
        guesses = self.guesses([(question, text) for text in texts], [len(head) for head in heads])
        found = [
            (guess.margin + _RETRIEVAL * hit.score, self._span(hit.passage, guess, len(head)))
            for hit, head, guess in zip(read, heads, guesses, strict=True)
            if guess.end
        ]
        found.sort(key=lambda pair: -pair[0])
        return [span for _, span in found]

    def guesses(self, pairs: Sequence[tuple[str, str]], first: Sequence[int] | None = None) -> list[Guess]:
        """Give the best span of each pair of question and text; it begins at `first` or later."""
        grouped = windows_of(pairs, self._tokenizer, self._shape)
        flat = [window for windows in grouped for window in windows]
        scored = iter(self._logits(flat))
        found = []
        for k, windows in enumerate(grouped):
            starts, ends = zip(*(next(scored) for _ in windows), strict=True)
            found.append(best_span(windows, starts, ends, first[k] if first else 0))
        return found

    def _logits(self, windows: Sequence[Window]) -> list[tuple[Any, Any]]:
        """Give the logits of first and last token of each window; those of like length go together."""
        import torch

        order = sorted(range(len(windows)), key=lambda k: len(windows[k].ids))
        found: list[tuple[Any, Any]] = [(None, None)] * len(windows)
        with torch.inference_mode():
            for k in range(0, len(order), _AT_ONCE):
                some = order[k : k + _AT_ONCE]
                batch = Batch.of([windows[i] for i in some], self._tokenizer.pad_token_id)
                starts, ends = logits(self._network, batch)
                for i, start, end in zip(some, starts.numpy(), ends.numpy(), strict=True):
                    found[i] = (start, end)
        return found

    def _span(self, passage: Passage, guess: Guess, head: int) -> Span:
        start, end = guess.start - head, guess.end - head
        a, b = around(start, end, sentences(passage.text))
        return Span(passage, start, end, a, b, float(self._calibration.probability(guess.margin)))


def _head(passage: Passage) -> str:
    """Give what is read before a passage: a section of a document means little without its heading."""
    return f"{passage.title}\n" if passage.kind is SourceKind.DOCUMENT else ""


def _speaks_of(passage: Passage, names: Collection[str]) -> bool:
    known = f"{passage.title}\n{passage.id}\n{passage.entity or ''}\n{passage.text}".lower()
    return all(_within(name.lower(), known) for name in names)


def names_in(question: str) -> set[str]:
    """Give the words of a question that name something: with a digit, or parts joined by / _ or a dot."""
    found = (word.strip(".,:;/+-") for word in _NAME.findall(question))
    return {word for word in found if word and not _NUMBER.fullmatch(word)}


def _within(name: str, text: str) -> bool:
    """Say whether a name stands in a text by itself: node1 is not in "node17"."""
    return re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", text) is not None
