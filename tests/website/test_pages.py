"""Every page in Chromium: navigation, recommendation, accessibility, weight, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.website.browser import DESKTOP, PHONE, SMALL_PHONE
from tests.website.conftest import Reader, Sites
from tests.website.npm import installed

NAVIGATION = [
    "Docs",
    "博客",
    "QQ群",
    "下载安装包",
    "Docker Hub",
    "阿里云镜像",
    "Docker Compose 生成器",
]
PAGES = (
    "",
    "sources/",
    "switching/",
    "compose-builder/?profile=full-custom",
    "compose-example/",
    "status/",
    "status/hagicode-aliyun/",
    "tags/",
    "sync/",
    "faq/",
    "data/",
    "changelog/",
)
# Bytes of everything that a page loads, uncompressed, and what of them at least is styles.
MOST, STYLES = 200_000, 60_000
# What a reader may set (WCAG 2.2, 1.4.12); a font that is wider than ours does the same.
ADD_STYLES = """text => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  document.adoptedStyleSheets = [sheet];
}"""
WIDE_TEXT = "* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }"


def home(page: Page) -> str:
    """The site's address, whichever of its pages is open."""
    return page.url.partition("/mirror/")[0] + "/mirror/"


def shown_labels(page: Page, where: str) -> list[str]:
    """Labels of the links, without what only screen readers hear."""
    labels: list[str] = page.locator(where).evaluate_all("all => all.map(a => a.firstChild.data)")
    return labels


@pytest.mark.parametrize("prefix", ["", "en/"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE, SMALL_PHONE], ids=["desktop", "phone", "small"])
def test_the_bar_and_the_footer_hold_the_links_in_their_order(
    reader: Reader, size: Any, prefix: str
) -> None:
    page = reader.open(f"{prefix}faq/", sample="empty", size=size)
    for where in (".hc-bar a", ".hc-footer__links a"):
        assert shown_labels(page, where) == NAVIGATION
        aliyun = page.locator(where, has_text="阿里云镜像")
        expect(aliyun).to_have_attribute("target", "_blank")
        expect(aliyun).to_have_attribute("rel", "noopener noreferrer")
        assert (aliyun.get_attribute("href") or "").startswith("https://cr.console.aliyun.com/")
        others = page.locator(f"{where}:not([target])")
        assert others.count() == len(NAVIGATION) - 1
        for entry in page.locator(where).all():
            entry.scroll_into_view_if_needed()
            expect(entry).to_be_in_viewport()
    page.locator(".hc-bar a", has_text="Docker Compose 生成器").click()
    page.wait_for_url(f"**/mirror/{prefix}compose-builder/")
    page.locator(".hc-bar a", has_text="Docs").click()
    page.wait_for_url(f"**/mirror/{prefix}")


@pytest.mark.parametrize("prefix", ["", "en/"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE, SMALL_PHONE], ids=["desktop", "phone", "small"])
def test_every_entry_of_the_bar_is_in_sight_at_once(
    reader: Reader, size: ViewportSize, prefix: str
) -> None:
    page = reader.open(prefix, sample="empty", size=size)
    for entry in page.locator(".hc-bar a").all():
        box = entry.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        assert box["y"] + box["height"] <= 0.3 * size["height"]
    bar = page.locator(".hc-bar__list")
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")


def test_times_are_in_the_readers_zone_with_utc_as_their_title(reader: Reader) -> None:
    for zone, shown, title in (
        ("Asia/Shanghai", "2026-11-24 16:00 UTC+8", "2026-11-24 08:00 UTC"),
        ("America/St_Johns", "2026-11-24 04:30 UTC-3:30", "2026-11-24 08:00 UTC"),
        ("Europe/London", "2026-11-24 08:00 UTC", "2026-11-24 08:00 UTC"),
        ("UTC", "2026-11-24 08:00 UTC", None),
    ):
        page = reader.open("status/hagicode-aliyun/", zone=zone)
        built = page.locator("time[data-built]")
        expect(built).to_have_text(shown)
        expect(built).to_have_attribute("datetime", "2026-11-24T08:00:00+00:00")
        assert built.get_attribute("title") == title
        expect(page.locator("footer [data-zone]")).to_have_text(zone)
        expect(page.locator(".hc-table--runs [data-zone]").first).to_have_text(zone)


def test_a_time_in_summer_has_the_offset_of_summer_and_midnight_is_the_next_day(
    reader: Reader,
) -> None:
    page = reader.open("tags/", zone="Europe/Paris")
    offsets = page.evaluate(
        """() => [...document.querySelectorAll("tbody time")].map(({ textContent, title }) =>
            (Date.parse(textContent.replace(" ", "T") + "Z") - Date.parse(title.replace(" UTC", "Z")
                .replace(" ", "T"))) / 3600_000)"""
    )
    assert len(offsets) >= 100
    assert set(offsets) <= {1, 2}
    expect(page.locator("thead [data-zone]").first).to_have_text("Europe/Paris")


def test_without_script_times_are_in_utc_and_say_so(reader: Reader) -> None:
    page = reader.open("tags/", script=False)
    expect(page.locator("thead [data-zone]").first).to_have_text("UTC")
    expect(page.locator("footer [data-zone]")).to_have_text("UTC")
    expect(page.locator("time[data-built]")).to_have_text("2026-11-24 08:00 UTC")


def test_on_paper_there_is_the_text_and_nothing_to_press(reader: Reader) -> None:
    page = reader.open("sources/", dark=True)
    page.emulate_media(media="print")
    for gone in (".md-header", ".hc-bar", ".hc-copy", ".hc-footer__links"):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator("article h1")).to_be_visible()
    expect(page.locator(".hc-table--compare")).to_be_visible()
    colours = page.evaluate(
        "[document.body, document.querySelector('article h1')].map((element) =>"
        " [getComputedStyle(element).backgroundColor, getComputedStyle(element).color])"
    )
    assert colours[0][0] == "rgb(255, 255, 255)"
    assert colours[1][1] == "rgb(0, 0, 0)"
    page.goto(home(page) + "compose-builder/")
    page.emulate_media(media="print")
    expect(page.locator("#compose")).to_be_visible()
    expect(page.locator("#httpPort")).to_be_hidden()


def test_the_aliyun_entry_opens_a_new_tab(reader: Reader) -> None:
    page = reader.open("", sample="empty")
    page.context.route("https://cr.console.aliyun.com/**", lambda route: route.fulfill(body="ok"))
    with page.context.expect_page() as opened:
        page.locator(".hc-bar a", has_text="阿里云镜像").click()
    assert opened.value.evaluate("window.opener") is None
    assert page.url.endswith("/mirror/")


@pytest.mark.parametrize(
    ("sample", "zone", "locale", "wanted"),
    [
        ("busy", "Asia/Shanghai", "zh-CN", "aliyun-acr"),
        ("busy", "Asia/Shanghai", "en-GB", "aliyun-acr"),
        ("busy", "Europe/Paris", "zh-CN", "docker-hub"),
        ("busy", "Etc/UTC", "zh-CN", "aliyun-acr"),
        ("busy", "Etc/UTC", "en-GB", "docker-hub"),
        ("troubled", "Asia/Shanghai", "zh-CN", "docker-hub"),
    ],
)
def test_home_recommends_for_the_reader_and_gives_a_reason(
    reader: Reader, sample: str, zone: str, locale: str, wanted: str
) -> None:
    page = reader.open("", sample=sample, zone=zone, locale=locale)
    recommended = page.locator("[data-source]", has=page.locator(".hc-badge--recommended:visible"))
    expect(recommended).to_have_count(1)
    expect(recommended).to_have_attribute("data-source", wanted)
    expect(recommended.locator(".hc-reason").first).to_be_visible()
    if sample == "troubled":
        expect(page.locator("#source-aliyun-acr")).to_contain_text("暂不推荐")
        expect(recommended).to_contain_text("暂以此代替")


def test_the_pull_command_is_copied_whole(reader: Reader) -> None:
    page = reader.open("", sample="busy")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#source-aliyun-acr [data-copy]").click()
    expect(page.locator("#source-aliyun-acr [data-copy]")).to_have_text("已复制")
    wanted = "docker pull registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode:0"
    assert page.evaluate("navigator.clipboard.readText()") == wanted


def test_the_language_switch_keeps_the_page(reader: Reader) -> None:
    page = reader.open("", sample="empty")
    for path in PAGES:
        page.goto(home(page) + path)
        address = page.url
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        page.click("[data-keep-query]")
        page.wait_for_url(address.replace("/mirror/", "/mirror/en/"))
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.click("[data-keep-query]")
        page.wait_for_url(address)


LIVE = ("", "sources/", "compose-builder/", "status/", "status/hagicode-aliyun/", "tags/")


@pytest.mark.parametrize(
    ("sample", "prefix", "paths", "sizes", "dark"),
    [
        ("busy", "", (*PAGES, "404.html"), (DESKTOP, SMALL_PHONE), False),
        ("busy", "en/", PAGES, (PHONE,), True),
        ("troubled", "en/", LIVE, (SMALL_PHONE,), False),
        ("empty", "", LIVE, (SMALL_PHONE,), True),
    ],
    ids=["busy-zh", "busy-en-dark", "troubled-en", "empty-zh-dark"],
)
def test_axe_finds_nothing_and_no_page_is_wider_than_its_screen(
    reader: Reader,
    sample: str,
    prefix: str,
    paths: tuple[str, ...],
    sizes: tuple[ViewportSize, ...],
    dark: bool,
) -> None:
    axe = (installed("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    page = reader.open("", sample=sample, dark=dark)
    start, found = home(page), []
    for path in paths:
        page.goto(f"{start}{prefix}{path}")
        page.evaluate(axe)
        for size in sizes:
            page.set_viewport_size(size)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], (path, width)
            for violation in page.evaluate("axe.run().then(({violations}) => violations)"):
                where = [node["target"] for node in violation["nodes"]]
                found.append((path, size["width"], violation["id"], where))
        page.evaluate(ADD_STYLES, WIDE_TEXT)
        for size in sizes:
            page.set_viewport_size(size)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], (path, width, "wide text")
    assert found == []


def test_a_page_with_all_that_it_loads_is_below_200_kilobytes(reader: Reader, sites: Sites) -> None:
    page = reader.open("", sample="busy")
    start, heavy = home(page), {}
    folder = sites.folder("busy")
    pages = sorted(file.parent.relative_to(folder) for file in folder.rglob("index.html"))
    # One of the many pages of tags is enough: they differ in nothing but their rows.
    for path in [path for path in pages if not path.name.isdigit() or path.name == "21"]:
        page.goto(f"{start}{path.as_posix()}/", wait_until="networkidle")
        urls = page.evaluate(
            "performance.getEntriesByType('resource').map(({name}) => name).concat(location.href)"
        )
        files = {folder / url.removeprefix(start) for url in urls}
        loaded = sum((f / "index.html" if f.is_dir() else f).stat().st_size for f in files)
        assert loaded > STYLES
        if loaded >= MOST:
            heavy[path.as_posix()] = loaded
    assert heavy == {}


def test_nothing_comes_from_another_host_and_the_policy_forbids_it(reader: Reader) -> None:
    page = reader.open("", sample="busy")
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    for path in PAGES:
        page.goto(home(page) + path)
        policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.locator("script:not([src]):not([type='application/json'])").count() == 0
        assert page.locator("style, [style], [onclick]").count() == 0
    assert hosts == {page.url.split("/")[2]}


def test_every_page_but_the_builder_works_without_script(reader: Reader) -> None:
    page = reader.open("", sample="troubled", script=False, size=PHONE)
    start = home(page)
    for path in (path for path in PAGES if "builder" not in path):
        page.goto(start + path)
        expect(page.locator("h1")).to_be_visible()
        assert len(page.locator("article").inner_text()) >= 10
        # A button that would need script is not shown.
        expect(page.locator("button:visible")).to_have_count(0)
    page.locator(".md-header label[for=__drawer]").click()
    page.locator(".md-nav--primary a", has_text="切换指南").click()
    page.wait_for_url("**/switching/")


def test_the_appearance_follows_the_system_until_the_reader_chooses(reader: Reader) -> None:
    page = reader.open("", sample="empty", dark=True)
    root = page.locator("html")
    expect(root).to_have_attribute("data-scheme", "dark")
    page.click("#scheme")
    expect(root).to_have_attribute("data-scheme", "light")
    page.reload()
    expect(root).to_have_attribute("data-scheme", "light")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"


def test_a_page_says_so_when_its_data_is_old(reader: Reader) -> None:
    page = reader.open("", sample="empty")
    page.clock.set_fixed_time("2026-11-24T08:30:00Z")
    page.reload()
    expect(page.locator(".hc-old")).to_have_count(0)
    page.clock.set_fixed_time("2026-11-24T11:10:00Z")
    page.reload()
    expect(page.locator(".hc-old")).to_contain_text("超过 3 小时")
    page.clock.set_fixed_time("2026-11-27T11:10:00Z")
    page.reload()
    expect(page.locator(".hc-old")).to_contain_text("超过 3 天")


def test_the_filter_finds_tags_on_this_page_and_on_the_others(reader: Reader) -> None:
    page = reader.open("tags/", sample="busy")
    assert page.locator("tbody tr:visible").count() == 50
    page.fill("#filter", "beta.1999")
    expect(page.locator("tbody tr:visible")).to_have_count(1)
    page.fill("#filter", "BETA.7")
    expect(page.locator("tbody tr:visible")).to_have_count(0)
    expect(page.locator("[data-elsewhere] a").first).to_be_visible()
    page.fill("#filter", "beta.777")
    page.locator("[data-elsewhere] a", has_text="beta.777").click()
    expect(page.locator("tr:target")).to_contain_text("0.1.0-beta.777")
    expect(page.locator("tr:target")).to_be_in_viewport()
    page.goto(page.url.partition("#")[0])
    page.fill("#filter", "nothing like it")
    expect(page.locator("[data-none]")).to_be_visible()


def test_a_digest_is_copied_whole(reader: Reader) -> None:
    page = reader.open("en/tags/", sample="busy", locale="en-GB")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("tbody tr").first.locator("[data-copy]").first.click()
    expect(page.locator(".hc-copy--done")).to_have_text("Copied")
    assert len(page.evaluate("navigator.clipboard.readText()")) == len("sha256:") + 64


def test_screenshots_are_made_of_every_page(tmp_path: Path) -> None:
    from tests.website import shots

    assert set(PAGES) <= set(shots.PAGES)
