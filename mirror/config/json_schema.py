"""The JSON Schema of mirrors.yaml, for editors: derived from the models.

It admits what people may write (mirror/config/shorthand.py): a word for a list of one, a rate for a
rate limit. Editors read YAML 1.2, in which `22:00` is a text and `on` a word.
"""

from __future__ import annotations

from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from mirror.config.base import ConfigModel
from mirror.config.entries import EntrySettings
from mirror.config.expectations import Kind, bound, expected, keys_of
from mirror.config.meanings import MEANINGS
from mirror.config.models import MirrorSettings
from mirror.config.settings import Settings
from mirror.units import format_duration

_DURATION = r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"
_RATE = r"^\d+(\.\d+)?\s*[kMG]?(bit|B)/s$"
_CLOCK = r"^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


def json_schema() -> dict[str, Any]:
    """The schema as a JSON document (draft 2020-12, without what draft-07 lacks)."""
    definitions: dict[str, Any] = {}
    whole = _object(Settings, definitions)
    one = [_reference(model, definitions) for model in (MirrorSettings, EntrySettings)]
    whole["properties"]["mirrors"] |= {
        "additionalProperties": {"anyOf": one},
        "propertyNames": {"pattern": _NAME},
        "minProperties": 1,
    }
    definitions["MirrorSettings"]["properties"]["source"]["pattern"] = r"^[^*]+$"
    definitions["EntrySettings"]["properties"]["source"]["pattern"] = r"\*$"
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "mirrors.yaml",
        **whole,
        "definitions": dict(sorted(definitions.items())),
    }


def _object(model: type[ConfigModel], definitions: dict[str, Any]) -> dict[str, Any]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    properties: dict[str, Any] = {}
    for key, kind in keys_of(model).items():
        meaning = fields[key].description or MEANINGS.get(model.__name__, {}).get(key, "")
        schema = {"description": _description(meaning, kind)} | _value(kind, definitions)
        default = _plain(fields[key].default)
        if default is not None:
            schema["default"] = default
        properties[key] = schema
    required = [key for key in properties if fields[key].is_required()]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _description(meaning: str, kind: Kind) -> str:
    if meaning and kind.base in (bool, timedelta, time, int, float):
        return f"{meaning} ({expected(kind)})"
    return meaning


def _reference(model: type[ConfigModel], definitions: dict[str, Any]) -> dict[str, Any]:
    name = model.__name__
    if name not in definitions:
        definitions[name] = {}  # a model that holds itself would not end otherwise
        definitions[name] = _object(model, definitions)
    return {"$ref": f"#/definitions/{name}"}


def _value(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.model is not None:
        ways = [_reference(kind.model, definitions), {"type": "null"}]
        if kind.model.__name__ == "RateLimitSettings":
            ways.append({"type": "string", "pattern": _RATE})
        return {"anyOf": ways}
    if kind.is_mapping:
        entries = {"additionalProperties": _value(kind.item, definitions)} if kind.item else {}
        names = kind.names
        allowed = {"propertyNames": {"enum": list(names)}} if names else {}
        return {"type": ["object", "null"], **entries, **allowed}
    if kind.item is not None:
        item = _value(kind.item, definitions)
        least = bound(kind, "min_length")
        array = {"type": "array", "items": item} | ({"minItems": least} if least else {})
        return {"anyOf": [array, {"type": ["string", "null"]} if "type" in item else item]}
    return _scalar(kind)


def _scalar(kind: Kind) -> dict[str, Any]:
    none = [None] if kind.optional else []
    if kind.words:
        return {"enum": [*map(str, kind.words), *none]}
    if kind.base is bool:
        return {"type": "boolean"}
    if kind.base in (int, float) and not kind.is_rate:
        limits = {
            "minimum": bound(kind, "ge"),
            "exclusiveMinimum": bound(kind, "gt"),
            "maximum": bound(kind, "le"),
            "exclusiveMaximum": bound(kind, "lt"),
        }
        given = {name: value for name, value in limits.items() if value is not None}
        number = "integer" if kind.base is int else "number"
        return {"type": [number, "null"] if kind.optional else number, **given}
    form = bound(kind, "pattern")
    if kind.base is timedelta:
        form = _DURATION
    elif kind.base is time:
        form = _CLOCK
    elif kind.is_rate:
        form = _RATE
    elif kind.is_variable:
        form = _VARIABLE
    text = {"type": ["string", "null"] if kind.optional else "string"}
    return text | ({"pattern": form} if form else {})


def _plain(value: object) -> Any:
    """A default as mirrors.yaml has it; None where there is none to show."""
    match value:
        case timedelta():
            return format_duration(value)
        case StrEnum() | Path():
            return str(value)
        case time():
            return f"{value:%H:%M}"
        case tuple():
            return [_plain(item) for item in value]
        case bool() | int() | float() | str():
            return value
    if value in (None, PydanticUndefined) or isinstance(value, ConfigModel):
        return None
    raise TypeError(f"{type(value).__name__} is no value of mirrors.yaml")
