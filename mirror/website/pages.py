"""The Markdown of every page, rendered from site/pages and site/fragments with the site's data.

Parts that come from the history are HTML fragments, escaped by Jinja; a page holds a placeholder
for each, which site/hooks.py fills after Markdown has run: fragments are not subject to its rules,
and thousands of table rows do not pass through its parser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from mirror.history import REASONS
from mirror.outside_text import escaped
from mirror.website import charts, documents, figures
from mirror.website.changelog import changelog
from mirror.website.health import SourceState, health_of, recommended, source_states
from mirror.website.site_data import SiteData
from mirror.website.sources import LANGUAGES, Language, data_file, links, site_folder, sources
from mirror.website.tags import ImageTags, images
from mirror.website.words import Words

FILTERED_SHOWN = 20
TAGS_OFFERED = 50
DAYS_SHOWN = 30
WHOLE_MIRRORS = 4  # with more, plots and runs are on each mirror's own page alone, for the weight
BUILDER_DATA = ("defaults", "profiles", "executors", "service")


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages of one build share."""

    data: SiteData
    states: tuple[SourceState, ...]
    images: tuple[ImageTags, ...]

    @classmethod
    def of(cls, data: SiteData) -> Site:
        """The data joined with the sources that a person may choose."""
        original = next(source for source in sources() if not source.is_mirror)
        return cls(
            data=data,
            states=source_states(sources(), data),
            images=images(data, original.repository),
        )


def write_pages(site: Site, folder: Path, fragments: Path) -> None:
    """Write `<folder>/<language>/**.md` and the fragments that they refer to."""
    for language in LANGUAGES:
        writer = _Writer(site, language, folder / language, fragments)
        for template in sorted((site_folder() / "pages" / language).glob("*.md")):
            writer.page(template.stem, f"pages/{language}/{template.name}")
        for mirror in site.data.whole:
            writer.page(f"status/{mirror.name}", f"pages/{language}/parts/mirror.md", mirror=mirror)
        for image in site.images:
            for page in image.pages():
                path = page.path.rstrip("/")
                writer.page(path, f"pages/{language}/parts/tags.md", tag_page=page)


class _Writer:
    """Renders the pages of one language."""

    def __init__(self, site: Site, language: Language, folder: Path, fragments: Path) -> None:
        self._folder = folder
        self._fragments = fragments
        self._language = language
        self._environment = Environment(
            loader=FileSystemLoader(site_folder()),
            autoescape=select_autoescape(["html"]),
            finalize=_shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            comment_start_string="{##",  # Markdown's `{#id}` names a heading
            comment_end_string="##}",
        )
        # The order of variables in a generated file is the order in site/data.
        self._environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
        words = Words(language)
        self._environment.globals.update(
            site=site,
            data=site.data,
            states=site.states,
            words=words,
            language=language,
            links=links(),
            changelog=changelog(),
            FILTERED_SHOWN=FILTERED_SHOWN,
            DAYS_SHOWN=DAYS_SHOWN,
            WHOLE_MIRRORS=WHOLE_MIRRORS,
            health=lambda mirror: health_of(mirror, site.data),
            recommended_ids=lambda: _recommended(site),
            recommended=lambda in_china: recommended(site.states, in_china=in_china),
            filtered=documents.filtered,
            reason=lambda reason: getattr(REASONS[reason], language),
            strip_cells=lambda mirror: charts.strip(mirror, site.data),
            delay_plot=lambda mirror: Markup(charts.delay_plot(mirror, words)),  # noqa: S704
            speed_plot=lambda mirror: Markup(charts.speed_plot(mirror, words)),  # noqa: S704
            switch_facts=lambda: _switch_facts(site, words),
            builder_words=_builder_words(language),
            builder_facts=lambda: _builder_facts(site, language),
            **{
                name: _in_words(getattr(figures, name), words)
                for name in ("moment", "duration", "percent", "gain", "size", "speed")
            },
        )

    def page(self, path: str, template: str, **context: Any) -> None:
        """Write one page; `path` is its address under the language's root, without slashes."""
        depth = 0 if path == "index" else path.count("/") + 1
        root = "../" * (depth + (self._language != LANGUAGES[0]))

        def live(fragment: str, **values: Any) -> str:
            html = self._environment.get_template(f"fragments/{fragment}.html").render(
                {**context, **values}, to=lambda page: f"{'../' * depth}{page}" or "./", root=root
            )
            number = sum(1 for _ in self._fragments.iterdir())
            (self._fragments / f"{number}.html").write_text(html, encoding="utf-8")
            return f'<div data-live="{number}"></div>'

        text = self._environment.get_template(template).render(
            {**context, "live": live, "to": lambda page: f"{'../' * depth}{page}" or "./"},
            root=root,
        )
        file = self._folder / f"{path}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _in_words(function: Callable[..., str], words: Words) -> Callable[..., str]:
    return lambda *values: function(words, *values)


def _recommended(site: Site) -> dict[str, str]:
    return {
        "china": recommended(site.states, in_china=True).source.id,
        "elsewhere": recommended(site.states, in_china=False).source.id,
    }


def _switch_facts(site: Site, words: Words) -> dict[str, Any]:
    names = ("line", "kept", "pinned", "none", "unreadable")
    return {
        "sources": [{"id": source.id, "image": source.image} for source in sources()],
        "recommended": _recommended(site),
        "words": {f"switch_{name}": words(f"switch_{name}") for name in names},
    }


def _builder_words(language: Language) -> dict[str, str]:
    return {key: entry[language] for key, entry in data_file("builder-words").items()}


def _is_shown(key: str) -> bool:
    """Whether the script shows this word: a rule, the verdict, or the label of a field."""
    fields = data_file("profiles")["full-custom"]
    return key.startswith("rule_") or key in ("blocked", "ready", "waiting") or key in fields


def _builder_facts(site: Site, language: Language) -> dict[str, Any]:
    original = site.images[0]
    return {
        **{name: data_file(name) for name in BUILDER_DATA},
        # Only what the generator reads: names and descriptions are in the page already.
        "sources": [{"id": source.id, "image": source.image} for source in sources()],
        "providers": data_file("providers"),
        "words": {key: text for key, text in _builder_words(language).items() if _is_shown(key)},
        "live": {
            state.source.id: {
                "health": state.health,
                "recommendable": state.recommendable,
                "tags": [tag.name for tag in state.mirror.tags if tag.in_sync][:TAGS_OFFERED]
                if state.mirror
                else [row.name for row in original.rows][:TAGS_OFFERED],
            }
            for state in site.states
        },
    }


def _shown(value: object) -> object:
    """What a template shows: text from outside never commands a terminal or reorders a page."""
    return escaped(value) if type(value) is str else value
