"""A badge for READMEs: the mirror's name and its state, as SVG."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, select_autoescape

from mirror.website.health import Health
from mirror.website.site_data import SiteMirror
from mirror.website.sources import site_folder
from mirror.website.words import Words

COLOURS = {
    Health.GOOD: "#15803d",
    Health.LAGGING: "#b45309",
    Health.FAILING: "#b91c1c",
    Health.UNKNOWN: "#525252",
}
_WIDE, _NARROW, _PADDING = 12.0, 6.8, 12.0  # of a character at 11 px, in px


def badge(mirror: SiteMirror, health: Health, words: Words) -> str:
    """A separate `<svg>` that screen readers read as "name: state"."""
    environment = Environment(
        loader=FileSystemLoader(site_folder() / "fragments"),
        autoescape=select_autoescape(["svg"]),
    )
    state = words(f"health_{health}")
    left, right = _width(mirror.name), _width(state)
    return environment.get_template("badge.svg").render(
        name=mirror.name, state=state, left=left, right=right, colour=COLOURS[health]
    )


def _width(text: str) -> int:
    return round(sum(_WIDE if ord(c) > 0x2E7F else _NARROW for c in text) + _PADDING)
