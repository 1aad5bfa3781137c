"""Which types of detector element there are: those that ship with anomalyd, and those a user adds."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path

from anomalyd.detectors.maps.geometries.file import ElementType, read_file, read_type
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.errors import ConfigError

SHIPPED = ("dt", "ecal-barrel", "ecal-endcap", "hcal")


@cache
def shipped(name: str) -> ElementType:
    """Give a type that ships with anomalyd, one of `SHIPPED`."""
    text = (resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return read_type(text, name)


def load_type(name_or_path: str) -> ElementType:
    """Give a type by the name of a shipped one, or read it from a YAML file.

    Raises:
        ConfigError: neither, or a file that cannot be read.

    """
    if name_or_path in SHIPPED:
        return shipped(name_or_path)
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        return read_file(Path(name_or_path))
    raise ConfigError(
        f"geometry {name_or_path!r}: unknown; give the path of a YAML file, or one of {', '.join(SHIPPED)}"
    )


@cache
def _by_entity() -> dict[str, Geometry]:
    return {e.entity: e for name in SHIPPED for e in shipped(name).elements}


def geometry_of(entity: str, added: Iterable[Geometry] = ()) -> Geometry | None:
    """Give the geometry of a known element, None for others: their maps have rows and columns only.

    `added` are looked at first; a name may be a pattern, as `EB*`.
    """
    for geometry in added:
        if fnmatchcase(entity, geometry.entity):
            return geometry
    known = _by_entity()
    if entity in known:
        return known[entity]
    return next((g for name, g in known.items() if "*" in name and fnmatchcase(entity, name)), None)
