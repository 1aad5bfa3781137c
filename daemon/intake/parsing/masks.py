"""Cells that are known to be dead, by element: from the file that `inputs.masks` names.

YAML, by element (or a pattern of names, as `EB*`), with rows and columns counted from 0 and ranges that
include both ends:

    DT/W-2/MB1/S04:
      - {row: 8, column: 12-15}
      - {row: 0-3}              # without columns, whole rows; without rows, whole columns

or CSV with the columns `element,row,column`, of the same meaning, empty for all.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from anomalyd.errors import ConfigError

_log = logging.getLogger(__name__)

_RANGE = re.compile(r"^(\d{1,6})(?:\s*-\s*(\d{1,6}))?$")


@dataclass(frozen=True, slots=True)
class MaskedCells:
    """Rows and columns of one line of a file: slices, all of them if none were named."""

    rows: slice
    columns: slice


class Masks:
    """Takes known dead cells out of maps: NaN, as if the message had left them out.

    Arguments:
        masks: what each element, or pattern of names, has masked.

    """

    def __init__(self, masks: Mapping[str, tuple[MaskedCells, ...]]) -> None:
        self._masks = dict(masks)
        self._of: dict[str, tuple[MaskedCells, ...]] = {}
        self._told: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> Masks:
        """Read a file, YAML or, if its name ends so, CSV.

        Raises:
            ConfigError: it cannot be read, or a line of it cannot be used; the text says which, and why.

        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"inputs.masks: {path} cannot be read: {error}") from None
        entries = _csv(path, text) if path.suffix.lower() == ".csv" else _yaml(path, text)
        found: dict[str, list[MaskedCells]] = {}
        for where, element, row, column in entries:
            if row is None and column is None:
                raise ConfigError(f"{where}: name a row, a column or both")
            cells = MaskedCells(_span(row, f"{where}: row"), _span(column, f"{where}: column"))
            found.setdefault(element, []).append(cells)
        return cls({element: tuple(cells) for element, cells in found.items()})

    def apply(self, entity: str, cells: NDArray[np.float32]) -> None:
        """Mask the known dead cells of an element's map (R, C), in place."""
        masked = self._of.get(entity)
        if masked is None:
            masked = tuple(m for name, some in self._masks.items() if fnmatchcase(entity, name) for m in some)
            self._of[entity] = masked
        for each in masked:
            beyond = (each.rows.stop or 0) > cells.shape[0] or (each.columns.stop or 0) > cells.shape[1]
            if beyond and entity not in self._told:
                self._told.add(entity)
                _log.warning(
                    "inputs.masks: %s: more is masked than its maps have, which is %d rows and %d columns; "
                    "they count from 0",
                    entity,
                    *cells.shape,
                )
            cells[each.rows, each.columns] = np.nan


def _span(given: Any, where: str) -> slice:
    if given is None:
        return slice(None)
    found = _RANGE.match(str(given).strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        raise ConfigError(f"{where}: {given!r}; a number from 0 on, or a range as 3-7, is expected")
    return slice(first, last + 1)


def _yaml(path: Path, text: str) -> Iterator[tuple[str, str, Any, Any]]:
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"inputs.masks: {path} is not YAML: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(
            f"inputs.masks: {path}: elements with lists of cells are expected, as `EB1: [{{row: 3}}]`"
        )
    for element, lines in given.items():
        if not isinstance(lines, list):
            raise ConfigError(f"{path}: {element}: a list of {{row, column}} is expected, not {lines!r}")
        for number, line in enumerate(lines):
            where = f"{path}: {element}[{number}]"
            if not isinstance(line, dict) or not line.keys() <= {"row", "column"}:
                raise ConfigError(f"{where}: {line!r}; {{row: 8, column: 12-15}} is expected")
            yield where, str(element), line.get("row"), line.get("column")


def _csv(path: Path, text: str) -> Iterator[tuple[str, str, Any, Any]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    if reader.fieldnames is None or set(reader.fieldnames) != {"element", "row", "column"}:
        raise ConfigError(f"inputs.masks: {path}: a first line `element,row,column` is expected")
    for line in reader:
        where = f"{path}: line {reader.line_num}"
        if not line["element"] or None in line:
            raise ConfigError(f"{where}: an element, a row and a column are expected")
        yield where, line["element"], line["row"] or None, line["column"] or None
