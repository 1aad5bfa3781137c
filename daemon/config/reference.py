"""The reference of settings, `docs/settings.md`, made from the configuration's schema by `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from anomalyd.daemon.config.config import Config

_HEAD = """# Settings

Every setting with its type and default, made from the schema by `make docs`; do not edit this page. What each
is for stands in [Settings explained](config.md).

| setting | type | default |
|---|---|---|
"""


def markdown() -> str:
    """Give the page."""
    schema = Config.model_json_schema()
    rows = [f"| `{path}` | {kind} | {default} |" for path, kind, default in _settings(schema, schema, "")]
    return _HEAD + "\n".join(rows) + "\n"


def _settings(schema: dict[str, Any], section: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Give path, type and default of each setting of a section, and of those below it."""
    required = section.get("required", ())
    for name, about in section.get("properties", {}).items():
        path = prefix + name
        inner = _resolved(schema, about)
        items = _resolved(schema, inner.get("items", {}))
        if "properties" in inner:
            yield from _settings(schema, inner, f"{path}.")
        elif "properties" in items:
            yield from _settings(schema, items, f"{path}[].")
        else:
            default = "required" if name in required else f"`{_written(about.get('default'))}`"
            yield path, _type(schema, about), default


def _resolved(schema: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in about:
        found: dict[str, Any] = schema["$defs"][about["$ref"].rpartition("/")[2]]
        return found
    if len(about.get("allOf", ())) == 1:
        return _resolved(schema, about["allOf"][0])
    return about


def _type(schema: dict[str, Any], about: dict[str, Any]) -> str:
    """Put a JSON schema's type into words."""
    about = _resolved(schema, about)
    if "enum" in about or "const" in about:
        return ", ".join(f"`{value}`" for value in about.get("enum", [about.get("const")]))
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_type(schema, each) for each in about["anyOf"]))
    kind = {"integer": "whole number", "number": "number", "boolean": "true, false", "string": "text"}.get(
        str(about.get("type")), str(about.get("type", "any"))
    )
    if kind == "array":
        kind = f"list of {_type(schema, about.get('items', {}))}"
    if kind == "object":
        kind = "mapping"
    bounds = [
        f"{sign} {about[key]:g}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in about
    ]
    return f"{kind} {', '.join(bounds)}".strip()


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | dict):
        return yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(markdown(), end="")
