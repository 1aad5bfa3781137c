"""Everything anomalyd raises on purpose.

    AnomalydError
     ├── ConfigError          the configuration file: names the path in it and what is allowed
     ├── DecodeError          a message that cannot be read; becomes a dead letter with its reason
     ├── TrainingError        too little or unusable training data
     ├── ModelError           a trained model that cannot be used
     │    ├── ModelMissing    there is none yet
     │    ├── ModelDamaged    its files do not hold together
     │    └── ModelMismatch   it was trained for another kind of input
     ├── StoreError           the report store
     │    ├── StoreConflict   another daemon moved these offsets on: this one must start from the store again
     │    └── SchemaError     the database is newer than this code
     ├── QuestionError        a question that names something nobody knows (carries the nearest names)
     ├── BrokerError          a broker that cannot be started or reached
     └── MissingExtra         a part of anomalyd that is not installed; names the command that installs it

Every message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

from enum import StrEnum


class AnomalydError(Exception):
    """Base of everything anomalyd raises on purpose."""


class ConfigError(AnomalydError):
    """The configuration is wrong; the message names the path in the file and what is allowed."""


class DecodeError(AnomalydError):
    """A message cannot be decoded.

    `reason` is a short, stable word (it becomes a label of a metric and a header of the dead letter);
    the text names the field and the remedy. `broken` is the part of the message that is, as a message of the
    same format, and `where` its place in the whole; None: all of it.
    """

    def __init__(
        self, reason: str, text: str, broken: bytes | None = None, where: str | None = None
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.broken = broken
        self.where = where


class TrainingError(AnomalydError):
    """There is too little training data, or it cannot be used."""


class ModelError(AnomalydError):
    """A trained model cannot be used."""


class ModelMissing(ModelError):
    """There is no trained model yet."""


class ModelDamaged(ModelError):
    """The files of a trained model do not hold together."""


class ModelMismatch(ModelError):
    """The model was trained for another kind of input."""


class StoreFailure(StrEnum):
    """What kind of failure of the report store it is: the label of a metric."""

    UNREACHABLE = "unreachable"
    LOCKED = "locked"
    READ_ONLY = "read-only"
    FULL = "full"
    OTHER = "other"


class StoreError(AnomalydError):
    """The report store cannot do what was asked; `failure` says what kind of failure it is."""

    def __init__(self, text: str, failure: StoreFailure = StoreFailure.OTHER) -> None:
        super().__init__(text)
        self.failure = failure


class StoreConflict(StoreError):
    """Another daemon has moved these offsets on; drop what is in memory and start from the store."""

class SchemaError(StoreError):
    """The database was written by a newer version of anomalyd."""


class QuestionError(AnomalydError):
    """A question names something nobody knows; `nearest` holds the closest known names."""

    def __init__(self, text: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.nearest = nearest


class BrokerError(AnomalydError):
    """A broker cannot be started or reached."""


class MissingExtra(AnomalydError):
    """A part of anomalyd that is installed on demand is missing."""
