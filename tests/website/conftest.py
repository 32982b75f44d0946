"""Sites built from the hand-made samples, a web server for each, and one Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from mirror.website import build_site
from tests.website import samples
from tests.website.browser import DESKTOP, chromium
from tests.website.serving import served

BASE = "mirror/"  # the tests run under a base path, as on a static host


class Sites:
    """Builds and serves a site when a test first asks for it."""

    def __init__(self, work: Path, stack: ExitStack) -> None:
        self._work = work
        self._stack = stack
        self._addresses: dict[str, str] = {}

    def folder(self, name: str) -> Path:
        """The built site of samples.<name>()."""
        folder = self._work / name
        if not folder.is_dir():
            folder.mkdir()
            build_site(getattr(samples, name)(), folder, f"https://example.com/{BASE}")
        return folder

    def address(self, name: str) -> str:
        """Where it is served, ending in a slash."""
        if name not in self._addresses:
            self._addresses[name] = self._stack.enter_context(served(self.folder(name), BASE))
        return self._addresses[name]


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The sites of all samples."""
    with ExitStack() as stack:
        yield Sites(tmp_path_factory.mktemp("sites"), stack)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Real Chromium, stopped with its module: while playwright runs, no test of asyncio can."""
    with chromium() as started:
        yield started


class Reader:
    """Opens pages as a person somewhere would see them; a page's own error fails the test."""

    def __init__(self, browser: Browser, sites: Sites, stack: ExitStack) -> None:
        self._browser = browser
        self._sites = sites
        self._stack = stack
        self.complaints: list[str] = []

    def open(
        self,
        path: str,
        *,
        sample: str = "busy",
        zone: str = "Asia/Shanghai",
        locale: str = "zh-CN",
        size: ViewportSize = DESKTOP,
        script: bool = True,
        dark: bool = False,
    ) -> Page:
        """A new page at `path` of that sample's site."""
        context = self._browser.new_context(
            viewport=size,
            timezone_id=zone,
            locale=locale,
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        self._stack.callback(context.close)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(self._sites.address(sample) + path)
        return page


@pytest.fixture
def reader(browser: Browser, sites: Sites) -> Iterator[Reader]:
    """A person with a browser; errors in the console fail the test at its end."""
    with ExitStack() as stack:
        person = Reader(browser, sites, stack)
        yield person
        assert person.complaints == []


@pytest.fixture(scope="module")
def room(browser: Browser, sites: Sites) -> Iterator[tuple[Page, str]]:
    """One page for the whole module, and the site's address."""
    with ExitStack() as stack:
        reader = Reader(browser, sites, stack)
        page = reader.open("compose-builder/")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page, sites.address("busy")
        assert reader.complaints == []


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(browser: Browser, sites: Sites) -> Iterator[Page]:
    """The builder's page on a site without a history, for the whole module."""
    with ExitStack() as stack:
        yield Reader(browser, sites, stack).open("compose-builder/", sample="empty")
