"""Reads YAML 1.1 so that nothing of what was written is lost.

YAML reads an unquoted 1.10 as the number 1.1 and an unquoted `on` as true. Such a scalar becomes
an Unquoted, which keeps the text; mirror/config/shorthand.py decides which of both is meant. Dates
stay text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mirror.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A scalar that YAML reads as a number or boolean, and how it was written."""

    value: bool | int | float
    text: str


class _Loader(yaml.SafeLoader):
    """A SafeLoader that keeps the text of numbers and booleans."""

    def scalar(self, node: yaml.ScalarNode) -> Unquoted:
        kind = node.tag.rpartition(":")[2]
        read = {
            "bool": self.construct_yaml_bool,
            "int": self.construct_yaml_int,
            "float": self.construct_yaml_float,
        }[kind]
        return Unquoted(read(node), str(node.value))

    def text(self, node: yaml.ScalarNode) -> str:
        return str(node.value)


for _kind in ("bool", "int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.scalar)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.text)


def read_yaml(path: Path) -> Any:
    """The document: mappings, lists, text, None and Unquoted; None for an empty file.

    Raises ConfigError that names the file and the line. A duplicate key is an error.
    """
    text = _text(path)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        for mapping in _mappings(node):
            _refuse_duplicates(mapping)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigError(f"{path}:{where} not valid YAML: {_problem(error, text)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid YAML: nested too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name it with --config or MIRROR_CONFIG"
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = " ".join(str(error.problem).split())
    line = text.splitlines()[error.problem_mark.line :][:1] if error.problem_mark else []
    if r"'\t'" in problem or any("\t" in part[: len(part) - len(part.lstrip())] for part in line):
        return f"{problem}; indent with spaces: YAML allows no tabs there"
    if "another document" in problem:
        return f"{problem}; remove the line ---"
    return problem


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key {key.value!r}", key.start_mark
            )
        seen.add(key.value)
