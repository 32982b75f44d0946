"""The rooms of docs/architecture.md: who may import what, read from the source."""

from __future__ import annotations

import ast
import graphlib
import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOMS, ROOT, modules, within


def _layers() -> list[list[str]]:
    """The layers contract of pyproject.toml: modules, layer by layer."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    return [re.split(r"\s*[|:]\s*", layer.strip(" ()")) for layer in contract["layers"]]


def test_every_module_is_in_exactly_one_layer() -> None:
    layers = _layers()
    for module in modules():
        if module.name in PACKAGES:
            continue
        places = [layer for layer in layers for name in layer if within(module.name, name)]
        assert len(places) == 1, f"{module.name} is in {len(places)} layers of pyproject.toml"


def test_every_layer_exists() -> None:
    names = {module.name for module in modules()}
    assert {name for layer in _layers() for name in layer} <= names


def _offered(room: str) -> set[str]:
    """What a room offers, dotted: the names that its `__init__` imports, or those of its stub."""
    init = ROOT / Path(*room.split(".")) / "__init__.py"
    stub = init.with_suffix(".pyi")
    tree = ast.parse((stub if stub.exists() else init).read_text())
    aliases = (
        alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    )
    return {f"{room}.{alias.asname or alias.name}" for alias in aliases}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_through_its_init_alone(room: str) -> None:
    offered = {room, *_offered(room)}
    past = {
        module.name: wrong
        for module in modules()
        if not within(module.name, room)
        if (wrong := {name for name in module.imports if within(name, room)} - offered)
    }
    assert past == {}


@pytest.mark.parametrize("room", [room for room in ROOMS if room.rpartition(".")[0] in ROOMS])
def test_a_room_within_a_room_knows_nothing_of_the_one_around_it(room: str) -> None:
    around = room.rpartition(".")[0]
    inner = [name for name in ROOMS if within(name, around) and name != around]
    past = {
        module.name: wrong
        for module in modules()
        if within(module.name, room)
        if (
            wrong := {
                name
                for name in module.imports
                if within(name, around) and not any(within(name, one) for one in inner)
            }
        )
    }
    assert past == {}


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {module.name for module in modules()}
    graph = {
        module.name: {name if name in files else name.rpartition(".")[0] for name in module.imports}
        & files - {module.name}
        for module in modules()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_mirror_does_not_import_flows() -> None:
    wrong = {
        module.name: found
        for module in modules()
        if within(module.name, "mirror")
        if (found := [name for name in module.imports if within(name, "flows")])
    }
    assert wrong == {}


def test_the_sample_registry_imports_nothing_else_of_ours() -> None:
    room = "flows.local.sample_registry"
    for module in modules():
        if within(module.name, room):
            ours = {name for name in module.imports if name.split(".")[0] in PACKAGES}
            assert {name for name in ours if not within(name, room)} == set(), module.name
