"""Pydantic's validation errors as lines that name the key of mirrors.yaml and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args, get_origin

from pydantic import ValidationError

from mirror.config.base import ConfigModel
from mirror.config.models import MirrorSettings
from mirror.config.settings import Settings

_NOT_KEYS = {Settings: "path", MirrorSettings: "name"}  # fields that mirrors.yaml cannot set


def explain(error: ValidationError) -> list[str]:
    """A line for each problem: `mirrors.a.sauce: unknown key; allowed: source, target, …`."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        location = [str(part) for part in problem["loc"]]
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; allowed: {allowed_keys(location[:-1])}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: missing")
        else:
            message = one_line(problem["msg"]).removeprefix("Value error, ")
            lines.append(f"{key}: {message}" if key else message)
    return lines


def allowed_keys(location: Sequence[str]) -> str:
    """The keys allowed at a place in mirrors.yaml, such as ("mirrors", "a", "tags")."""
    model = _model_at(location)
    hidden = _NOT_KEYS.get(model)
    fields = model.model_fields.items()
    return ", ".join(field.alias or name for name, field in fields if name != hidden)


def _model_at(location: Sequence[str]) -> type[ConfigModel]:
    """The innermost model at that place."""
    model: type[ConfigModel] = Settings
    parts = iter(location)
    for part in parts:
        fields = model.model_fields.items()
        annotation = {field.alias or name: field.annotation for name, field in fields}.get(part)
        model = next(_models_in(annotation), model)
        if get_origin(annotation) in (dict, tuple):
            next(parts, None)  # a mirror's name or a place in a list, whatever it is called
    return model


def _models_in(annotation: object) -> Iterator[type[ConfigModel]]:
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
