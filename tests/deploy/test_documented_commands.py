"""Every command that docs, compose and make name exists, with the options that they use."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import flows
from flows.cli.app import mirror

ROOT = Path(flows.__file__).parents[1]
FILES = (
    *("README.md", "docs/operating.md", "docs/first-mirror.md", "docs/faq.md"),
    *("docker-compose.yml", "Makefile", "Dockerfile"),
)
COMMAND = re.compile(r"(?:\bmirror|\$\(MIRROR\))[ ,\"]+([a-z]+)\b([^`\n#]*)")
MODULE = re.compile(r"-m[ ,\"]+((?:flows|mirror|bench|tests)[\w.]*)")
OPTION = re.compile(r"(?<=[\s,\"])--[a-z][a-z-]*")


def _commands(file: str) -> list[tuple[str, str]]:
    """What follows `mirror`, where it is the name of a command, and the rest of that line."""
    known = mirror.list_commands(click.Context(mirror))
    found = COMMAND.findall((ROOT / file).read_text())
    return [(name, rest) for name, rest in found if name in known or "--" in rest]


@pytest.mark.parametrize("file", FILES)
def test_every_command_exists_with_its_options(file: str) -> None:
    commands = _commands(file)
    assert commands
    for name, rest in commands:
        context = click.Context(mirror)
        command = mirror.get_command(context, name)
        assert command is not None, f"{file}: mirror {name}"
        if isinstance(command, click.Group):
            command = command.get_command(context, rest.split(maxsplit=1)[0]) or command
        known = {option for parameter in command.get_params(context) for option in parameter.opts}
        assert set(OPTION.findall(rest)) <= known, f"{file}: mirror {name}{rest}"


def test_every_module_that_is_run_exists() -> None:
    for file in FILES:
        for module in MODULE.findall((ROOT / file).read_text()):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
