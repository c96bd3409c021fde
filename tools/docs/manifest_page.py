"""The manifest's fields, read from the schema that validates it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from s2d_edge.contracts import bundle, clip
from s2d_edge.contracts.bundle import Manifest
from tools.docs.docstrings import attributes, body

_LIMITS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minItems": "at least",
}


def manifest_tables() -> str:
    """One section for the manifest and one for each record in it."""
    schema = Manifest.model_json_schema()
    records = {"Manifest": schema, **schema.get("$defs", {})}
    return "\n\n".join(_section(name, record) for name, record in records.items())


def _section(name: str, schema: dict[str, Any]) -> str:
    cls = _class(name)
    described = attributes(cls)
    required = set(schema.get("required", ()))
    lines = [f"## {name}", "", body(cls), "", "| field | type | |", "| --- | --- | --- |"]
    for field, spec in schema["properties"].items():
        notes = [described.get(field, "")]
        if field not in required:
            notes.append(f"default `{spec['default']}`" if spec.get("default") else "may be missing")
        text = "; ".join(note.rstrip(".") for note in notes if note)
        lines.append(f"| `{field}` | {_type(spec)} | {text} |")
    return "\n".join(lines)


def _class(name: str) -> type[BaseModel]:
    for module in (bundle, clip):
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    raise LookupError(
        f"the schema names {name}, which is in none of contracts/bundle.py and contracts/clip.py"
    )


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        name = spec["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in spec:
        return " or ".join(_type(each) for each in spec["anyOf"])
    if "const" in spec or "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    limits = [
        f"{sign} {spec[key]:g}" for key, sign in _LIMITS.items() if key in spec and "prefixItems" not in spec
    ]
    return " ".join([_plain(spec), *([f"({', '.join(limits)})"] if limits else [])])


def _plain(spec: dict[str, Any]) -> str:
    kind = spec.get("type", "any")
    if kind == "array" and "prefixItems" in spec:
        return f"[{', '.join(_type(each) for each in spec['prefixItems'])}]"
    if kind == "array":
        return f"list of {_type(spec['items'])}"
    if kind == "object":
        inner = spec.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, dict) else "object"
    return str(kind)
