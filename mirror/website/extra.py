"""The libraries that only the site needs: the extra `[site]` of the package."""

from __future__ import annotations

from importlib.util import find_spec

from mirror.website.errors import LibrariesMissing

LIBRARIES = (
    "feedgenerator",
    "jinja2",
    "material",
    "mkdocs",
    "mkdocs_static_i18n",
    "pygal",
    "tinycss2",
)
"""Modules of the extra. Found without importing them: MkDocs and its plugins run elsewhere."""

INSTALL = "pip install 'hagicode-mirror[site]'"


def missing_libraries() -> tuple[str, ...]:
    """The modules of the extra that are not installed; empty when the site can be built."""
    return tuple(name for name in LIBRARIES if find_spec(name) is None)


def require_libraries() -> None:
    """Raise LibrariesMissing, which names the command to run, unless the site can be built."""
    if missing := missing_libraries():
        raise LibrariesMissing(
            f"the site needs {', '.join(missing)}, not installed here: run {INSTALL}"
        )
