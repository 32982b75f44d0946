"""What the package offers: its names, its error tree, and what it does not import."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import httpx

import mirror.registry
from mirror.registry import Endpoint, Registry, RegistryError
from tests.registry.scripted import Script, answer

REASONS = {
    "auth",
    "not_found",
    "quota",
    "refused",
    "throttled",
    "refused_media_type",
    "digest_mismatch",
    "network",
    "server_error",
    "timeout",
    "storage",
    "internal",
}


def _tree(kind: type[RegistryError]) -> list[type[RegistryError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


ALL: list[str] = vars(mirror.registry)["__all__"]  # of the stub, whose names are imported lazily


def test_every_public_name_is_there_once() -> None:
    assert len(ALL) == len(set(ALL)) > 40
    for name in ALL:
        assert not isinstance(getattr(mirror.registry, name), types.ModuleType), name


def test_every_error_is_drawn_in_the_tree_with_its_reason() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) .* (\w+)$", mirror.registry.__doc__ or "", re.MULTILINE))
    # Those of the package: a module elsewhere may have a private subclass.
    package = mirror.registry.__name__
    kinds = [kind for kind in _tree(RegistryError)[1:] if kind.__module__.startswith(package)]
    assert drawn == {kind.__name__: kind.reason for kind in kinds}
    assert set(drawn.values()) <= REASONS
    assert {kind.__name__ for kind in kinds} <= set(ALL)


def test_names_and_errors_need_no_http_client() -> None:
    code = (
        "import sys; from mirror.registry import Reference, RegistryError, is_tag;"
        " print({'aiohttp', 'httpx'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_neither_prefect_nor_a_database_comes_along() -> None:
    code = "import sys, mirror.registry; print({'prefect', 'sqlalchemy'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert found.stdout.strip() == "set()"


async def test_every_request_is_counted() -> None:
    script = Script()
    script.on("/v2/$", lambda _: httpx.Response(307, headers={"Location": "https://b.test/x"}))
    script.on("b.test", answer(200))
    async with Registry(Endpoint("a.test"), transport=script) as registry:
        await registry.ping()
        assert registry.requests == len(script.seen) == 2
