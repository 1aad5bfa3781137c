"""Parts of anomalyd that are installed on demand: what is missing is said with the command that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anomalyd.errors import MissingExtra


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import what only an extra brings: `with extra("tune", "tuning"): import optuna`.

    Raises:
        MissingExtra: it is not installed; the text says what to install.

    """
    try:
        yield
    except ImportError as error:
        missing = error.name or str(error)
        raise MissingExtra(
            f"{purpose} needs {missing}, which is not installed: pip install 'anomalyd[{name}]'"
        ) from error
