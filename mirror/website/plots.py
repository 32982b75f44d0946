"""Plots as SVG without script, style or colour: the page's style sheet styles them.

pygal draws; the inline script and style sheet that it adds for standalone files are removed, since
the Content-Security-Policy forbids them, and a title and description for screen readers are added.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree

import pygal

# Importing pygal hooks into all later imports of the process, by an interface that Python 3.11
# warns of and 3.12 ignores; it only serves plug-ins of pygal, of which there are none here.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if type(finder) is not pygal.PluginImportFixer
]

_LONG_NUMBER = re.compile(r"(\.\d)\d+")


@dataclass(frozen=True, slots=True)
class Series:
    """One line; None is a gap."""

    name: str
    values: tuple[float | None, ...]


def line_plot(
    ident: str, title: str, described: str, days: Sequence[date], series: Sequence[Series]
) -> str:
    """An `<svg>` for a page, as wide as its column.

    `ident` has to be unique on the page: title and description are referred to by it.
    """
    chart = pygal.Line(
        js=(),
        css=(),
        width=560,
        height=240,
        margin=8,
        explicit_size=False,
        show_dots=False,
        show_legend=True,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(series),
        include_x_axis=True,
        show_minor_x_labels=False,
        x_labels_major_count=3,
        max_scale=6,
        truncate_label=-1,
        truncate_legend=-1,
        allow_interruptions=True,
        disable_xml_declaration=True,
        no_prefix=True,
        x_labels=[day.isoformat() for day in days],
        value_formatter=lambda value: f"{value:g}",
    )
    for line in series:
        chart.add(line.name, list(line.values))
    return _dressed(chart.render_tree(), ident, title, described)


def _is_tooltip(element: ElementTree.Element) -> bool:
    return element.tag == "title" or "tooltip-overlay" in element.get("class", "")


def _dressed(svg: ElementTree.Element, ident: str, title: str, described: str) -> str:
    for child in list(svg):
        if child.tag in ("defs", "title") or not isinstance(child.tag, str):
            svg.remove(child)
    for element in svg.iter():
        for name in [name for name in element.attrib if name in ("id", "style")]:
            del element.attrib[name]
        for name in ("d", "points", "x", "y", "transform"):
            if name in element.attrib:
                element.set(name, _LONG_NUMBER.sub(r"\1", element.attrib[name]))
        for tooltip in [child for child in element if _is_tooltip(child)]:
            element.remove(tooltip)
    for name, text in (("desc", described), ("title", title)):
        words = ElementTree.Element(name, {"id": f"{ident}-{name}"})
        words.text = text
        svg.insert(0, words)
    svg.attrib.update(
        {"role": "img", "class": "plot", "aria-labelledby": f"{ident}-title {ident}-desc"}
    )
    # Inside HTML no namespace is needed, and pygal names its elements without one.
    svg.attrib.pop("xmlns", None)
    return ElementTree.tostring(svg, encoding="unicode")
