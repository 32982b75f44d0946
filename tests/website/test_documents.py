"""What the built site says, and what machines read of it, for each of the three samples."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import jsonschema
import pytest

from mirror.history import PullStats
from mirror.website import BuildFailed, build_site
from mirror.website.site_data import SiteData, SiteMirror
from mirror.website.sources import site_folder
from tests.website import samples
from tests.website.conftest import Sites
from tests.website.npm import FOLDER, installed

ATOM = "{http://www.w3.org/2005/Atom}"
SAMPLES = ("empty", "troubled", "busy")
NO_DATA = {"zh": "暂无数据", "en": "no data yet"}


class Anchors(HTMLParser):
    """Links and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag refers to and how it may be referred to."""
        for name, value in attrs:
            if value is not None and name in ("href", "src", "action"):
                self.links.append(value)
            elif value is not None and name == "id":
                self.ids.add(value)


def text_of(folder: Path, page: str) -> str:
    """The article of a page, without tags."""
    html = (folder / page / "index.html").read_text(encoding="utf-8")
    article = re.search(r"<article.*?</article>", html, re.S)
    assert article
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", article[0]))


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_link_is_dead(sites: Sites, sample: str) -> None:
    folder = sites.folder(sample)
    pages = {
        file.relative_to(folder).as_posix(): Anchors(file.read_text(encoding="utf-8"))
        for file in folder.rglob("*.html")
        if file.name != "404.html"  # its links begin at the root of the host
    }
    dead = []
    for name, page in pages.items():
        for link in page.links:
            address, fragment = urldefrag(urljoin(f"http://site/{name}", link))
            parts = urlsplit(address)
            if parts.netloc != "site":
                if parts.scheme not in ("https", "mailto") and parts.netloc != "example.com":
                    dead.append((name, link))
                continue
            path = unquote(parts.path).lstrip("/")
            target = folder / path
            if target.is_dir():
                target /= "index.html"
            is_there = target.is_file()
            reached = pages.get(target.relative_to(folder).as_posix()) if is_there else None
            if not is_there or (fragment and reached and fragment not in reached.ids):
                dead.append((name, link))
    assert dead == []
    assert len(pages) > 24


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_html_is_valid(sites: Sites, sample: str) -> None:
    """Only valid-autocomplete is off: Material keeps browsers from restoring its drawer's state."""
    folder = sites.folder(sample)
    installed("html-validate")
    pages = [
        str(file)
        for file in sorted(folder.rglob("*.html"))
        if not file.parent.name.isdigit() or file.parent.name == "2"
    ]
    done = subprocess.run(
        [str(FOLDER / "node_modules/.bin/html-validate"), "--config", "htmlvalidate.json", *pages],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.replace(str(folder), "")[:4000]


def test_an_empty_history_reads_no_data_and_never_as_a_figure(sites: Sites) -> None:
    folder = sites.folder("empty")
    for language, prefix in (("zh", ""), ("en", "en/")):
        for page in ("", "sources/", "status/", "status/hagicode-aliyun/", "tags/"):
            text = text_of(folder, f"{prefix}{page}")
            assert NO_DATA[language].lower() in text.lower(), page
            figures = re.sub(r"[≥≤] ?99%|≤ ?1%|50%", "", text)  # the promises
            assert "100%" not in figures, page
            assert not re.search(r"\b0%|\b0 (ms|s|秒|分钟|min)\b", figures), page
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    assert [mirror["health"] for mirror in status["mirrors"]] == ["unknown", "unknown"]
    assert status["mirrors"][0]["success"]["tags"] == {"good": 0, "ended": 0, "rate": None}
    assert status["mirrors"][0]["delay_seconds"] is None


def test_failures_and_an_incident_are_shown(sites: Sites) -> None:
    folder = sites.folder("troubled")
    status = text_of(folder, "status/")
    for text in ("同步失败", "95% 未达标", "40 分钟 未达标", "落后标签 3", "进行中", "已恢复"):
        assert text in status, text
    detail = text_of(folder, "status/hagicode-aliyun/")
    assert "凭据缺失、错误或权限不足" in detail
    assert "暂不推荐" in text_of(folder, "")
    assert "未达标" not in status[status.index("hagicode-azure") : status.index("事件")]
    # Of 60 tags three have not arrived.
    tags = text_of(folder, "tags/")
    assert tags.count("尚未同步") == 3
    # The index was filtered at Aliyun, so the digests differ and both are shown.
    sources = text_of(folder, "sources/")
    assert "构建证明（目标仓库拒收） × 1" in sources
    assert samples.digest("0.1.0-beta.57") in sources
    assert samples.digest("0.1.0-beta.57 filtered") in sources


def test_three_years_are_shown_by_their_last_90_days(sites: Sites) -> None:
    folder = sites.folder("busy")
    html = (folder / "status" / "index.html").read_text(encoding="utf-8")
    days = len(re.findall(r"M\d+ 0h6\.5", html)) + html.count('<rect class="hc-day-')
    assert days == 3 * 90
    assert html.count('role="img"') == 3 * 3  # of each mirror: strip, delay, speed
    assert "达标" in html
    assert "未达标" not in html
    detail = (folder / "status" / "hagicode-aliyun" / "index.html").read_text(encoding="utf-8")
    assert "2026-08-27 至 2026-11-24，共 90 天有数据" in detail
    assert detail.count('role="img"') == 3
    assert len(re.findall(r'<tr><th scope="row">2026-', detail)) == 30  # the plots as a table
    assert "+586%" in detail
    tags = {file.parent for file in (folder / "tags").rglob("index.html")}
    assert len(tags) == 40 + 1  # 2,000 in pages of 50, and the other image


def test_failed_pulls_are_shown_even_when_none_succeeded_and_the_goal_includes_its_limit(
    tmp_path: Path,
) -> None:
    all_failed = samples.report("all-failed", samples.ALIYUN, pulls=PullStats(pulls=5, failed=5))
    at_limit = samples.report("at-limit", samples.AZURE, pulls=PullStats(pulls=100, failed=1))
    mirrors = (SiteMirror(all_failed), SiteMirror(at_limit))
    build_site(SiteData(samples.NOW, mirrors), tmp_path)
    assert "Pull failure rate 100.0% missed" in text_of(tmp_path, "en/status/all-failed/")
    assert "Pull failure rate 1.0% met" in text_of(tmp_path, "en/status/at-limit/")


@pytest.mark.parametrize("sample", SAMPLES)
def test_status_json_conforms_to_its_published_schema(sites: Sites, sample: str) -> None:
    folder = sites.folder(sample)
    schema = json.loads((folder / "status.schema.json").read_text(encoding="utf-8"))
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator
    checker.check_schema(schema)
    checker(schema, format_checker=checker.FORMAT_CHECKER).validate(status)
    assert status["generated_at"] == "2026-11-24T08:00:00Z"


@pytest.mark.parametrize("sample", SAMPLES)
def test_monitors_read_each_mirror_and_the_worst_of_all(sites: Sites, sample: str) -> None:
    folder = sites.folder(sample)
    checker = jsonschema.Draft202012Validator
    schemas = {}
    for name in ("mirror", "summary"):
        text = (folder / "api" / f"{name}.schema.json").read_text(encoding="utf-8")
        checker.check_schema(json.loads(text))
        schemas[name] = checker(json.loads(text), format_checker=checker.FORMAT_CHECKER)
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    words = {"good": "up", "lagging": "degraded", "failing": "down", "unknown": "unknown"}
    wanted = {mirror["name"]: words[mirror["health"]] for mirror in status["mirrors"]}
    files = sorted((folder / "api" / "mirrors").glob("*.json"))
    assert [file.stem for file in files] == sorted(wanted)
    for file in files:
        text = file.read_text(encoding="utf-8")
        schemas["mirror"].validate(json.loads(text))
        assert f'"status":"{wanted[file.stem]}"' in text  # as monitors look for it
        assert len(text) < 600
        assert f'"page":"https://example.com/mirror/status/{file.stem}/"' in text
        assert '"stale_after":"2026-11-24T09:00:00Z"' in text
    summary = json.loads((folder / "api" / "summary.json").read_text(encoding="utf-8"))
    schemas["summary"].validate(summary)
    assert summary["mirrors"] == wanted
    worst = {"empty": "unknown", "troubled": "down", "busy": "up"}
    assert summary["status"] == worst[sample]


def test_status_json_recommends_by_the_state_of_the_mirrors(sites: Sites) -> None:
    found = {}
    for sample in SAMPLES:
        text = (sites.folder(sample) / "status.json").read_text(encoding="utf-8")
        found[sample] = json.loads(text)["recommended"]
    assert found == {
        "empty": {"china": "aliyun-acr", "elsewhere": "docker-hub"},
        "troubled": {"china": "docker-hub", "elsewhere": "docker-hub"},
        "busy": {"china": "aliyun-acr", "elsewhere": "docker-hub"},
    }


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_feed_is_atom_with_an_entry_for_each_incident(sites: Sites, language: str) -> None:
    prefix = "" if language == "zh" else "en/"
    feed = ElementTree.parse(sites.folder("troubled") / prefix / "feed.xml").getroot()
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 2
    link = entries[0].find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"https://example.com/mirror/{prefix}status/#incident-7"
    identifiers = {entry.findtext(f"{ATOM}id") for entry in entries}
    assert identifiers == {
        "tag:hagicode.com,2026:mirror/incident/7",
        "tag:hagicode.com,2026:mirror/incident/3",
    }
    assert entries[1].findtext(f"{ATOM}updated") == "2026-11-21T08:35:00+00:00"
    summary = entries[0].findtext(f"{ATOM}summary") or ""
    assert "&lt;script&gt;" in summary  # HTML in Atom, so the text is escaped once more
    empty = ElementTree.parse(sites.folder("empty") / prefix / "feed.xml").getroot()
    assert empty.findall(f"{ATOM}entry") == []


def test_the_badge_shows_the_state_and_reads_as_text(sites: Sites) -> None:
    folder = sites.folder("troubled")
    for file, state in (
        ("badges/hagicode-aliyun.svg", "同步失败"),
        ("badges/hagicode-azure.svg", "正常"),
        ("en/badges/hagicode-aliyun.svg", "Failing"),
    ):
        root = ElementTree.parse(folder / file).getroot()
        name = Path(file).stem
        assert root.get("aria-label") == f"{name}: {state}"


def test_the_digest_map_lists_every_filtered_tag(sites: Sites) -> None:
    text = (sites.folder("troubled") / "digests" / "hagicode-aliyun.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 57
    assert rows[0] == {
        "tag": "0.1.0-beta.57",
        "source_digest": samples.digest("0.1.0-beta.57"),
        "mirror_digest": samples.digest("0.1.0-beta.57 filtered"),
        "left_out": "attestation_refused:unknown/unknown",
    }


def test_each_text_has_a_compressed_sibling_of_the_same_content(sites: Sites) -> None:
    folder = sites.folder("empty")
    for file in folder.rglob("*.html"):
        packed = file.with_name(file.name + ".gz").read_bytes()
        assert gzip.decompress(packed) == file.read_bytes()
    assert not list(folder.rglob("*.map"))
    assert not (folder / "assets" / "javascripts").exists()


def test_two_thousand_tags_are_built_page_by_page(sites: Sites) -> None:
    folder = sites.folder("busy")  # bench/RECORD.md says how fast
    shown = [
        len(re.findall(r'<tr id="tag-', (folder / "tags" / page / "index.html").read_text("utf-8")))
        for page in (".", "2", "40")
    ]
    assert shown == [50, 50, 50]
    assert not (folder / "tags" / "41").exists()


def head_of(folder: Path, page: str) -> list[tuple[str, dict[str, str]]]:
    """The `link` and `meta` elements of a page."""
    html = (folder / page).read_text(encoding="utf-8").partition("</head>")[0]
    tags = re.findall(r"<(link|meta) ([^>]*)>", html)
    return [(name, dict(re.findall(r'([\w:-]+)="([^"]*)"', text))) for name, text in tags]


def test_each_page_names_its_address_its_other_language_and_its_card(sites: Sites) -> None:
    folder = sites.folder("troubled")
    base = "https://example.com/mirror/"
    pages = [file.relative_to(folder) for file in folder.rglob("index.html")]
    assert len(pages) > 24
    for page in pages:
        path = page.parent.as_posix().removeprefix(".")
        chinese = path.removeprefix("en").lstrip("/")
        chinese = f"{chinese}/" if chinese else ""
        is_english = path.partition("/")[0] == "en"
        own = f"{base}en/{chinese}" if is_english else f"{base}{chinese}"
        head = head_of(folder, page.as_posix())
        [canonical] = [m["href"] for n, m in head if n == "link" and m["rel"] == "canonical"]
        assert canonical == own
        twins = {m["hreflang"]: m["href"] for n, m in head if n == "link" and "hreflang" in m}
        assert twins == {
            "zh-CN": base + chinese,
            "en": f"{base}en/{chinese}",
            "x-default": base + chinese,
        }
        cards = {m["property"]: m["content"] for n, m in head if n == "meta" and "property" in m}
        assert cards["og:url"] == own
        assert cards["og:title"]
        assert cards["og:locale"] == ("en_GB" if is_english else "zh_CN")
        assert (folder / cards["og:image"].removeprefix(base)).is_file()


def imports_of(script: Path) -> set[str]:
    """The modules that a script of the site imports, and those that they import."""
    names = set(re.findall(r'from "\./([\w.]+)"', script.read_text(encoding="utf-8")))
    return names.union(*(imports_of(script.with_name(name)) for name in names))


@pytest.mark.parametrize("page", ["", "compose-builder", "switching", "tags", "en/switching"])
def test_scripts_are_fetched_at_once_and_not_one_after_the_other(sites: Sites, page: str) -> None:
    folder = sites.folder("empty")
    html = (folder / page / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(
        r'<script type="module" blocking="render" src="[./]*assets/([\w.]+)"', html
    )
    preloaded = re.findall(r'<link rel="modulepreload" href="[./]*assets/([\w.]+)"', html)
    assert scripts[0] == "site.js"
    wanted = set[str]().union(*(imports_of(folder / "assets" / name) for name in scripts))
    assert set(preloaded) == wanted - {"site.js"}


def test_the_sitemap_lists_every_page_with_its_other_language(sites: Sites, tmp_path: Path) -> None:
    folder = sites.folder("troubled")
    root = ElementTree.parse(folder / "sitemap.xml").getroot()
    namespace = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    listed = {loc.text for loc in root.findall("s:url/s:loc", namespace)}
    pages = {file.parent.relative_to(folder).as_posix() for file in folder.rglob("index.html")}
    paths = {f"{page}/" if page != "." else "" for page in pages}
    assert listed == {f"https://example.com/mirror/{path}" for path in paths}
    assert "404" not in str(listed)
    # Without an address it could not say one.
    build_site(samples.empty(), tmp_path)
    assert not (tmp_path / "sitemap.xml").exists()
    assert not any(m.get("rel") == "canonical" for _, m in head_of(tmp_path, "index.html"))
    twins = [m["href"] for _, m in head_of(tmp_path, "en/faq/index.html") if "hreflang" in m]
    assert twins == ["../../faq/", "./", "../../faq/"]


def test_the_page_for_what_is_absent_is_in_both_languages(sites: Sites) -> None:
    html = (sites.folder("empty") / "404.html").read_text(encoding="utf-8")
    assert '<html lang="zh"' in html
    for text in ("找不到页面", "Page not found", "这个地址没有页面", "no page at this address"):
        assert text in html
    # It is shown at any address, so its links begin at the root of the host.
    for link in Anchors(html).links:
        assert link.startswith(("/mirror/", "https://", "#")), link
    assert 'content="noindex"' in html


def test_a_page_that_mkdocs_refuses_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "site"
    shutil.copytree(site_folder(), own)
    (own / "pages" / "en" / "faq.md").write_text("[gone](nowhere.md)\n", encoding="utf-8")
    for module in ("build", "pages", "sources"):
        monkeypatch.setattr(f"mirror.website.{module}.site_folder", lambda: own)
    with pytest.raises(BuildFailed, match=r"nowhere\.md") as caught:
        build_site(samples.empty(), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_of_many_mirrors_the_first_have_pages_and_the_others_are_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.website.site_data.WHOLE", 1)
    build_site(samples.troubled(), tmp_path, "https://example.com/")
    for prefix in ("", "en/"):
        status = (tmp_path / prefix / "status/index.html").read_text()
        _, _, others = status.partition('id="others"')
        assert "hagicode-azure" in others
        assert "hagicode-aliyun" not in others.partition("</table>")[0]
        assert (tmp_path / prefix / "status/hagicode-aliyun/index.html").exists()
        assert not (tmp_path / prefix / "status/hagicode-azure").exists()
        assert 'status/#others"' in (tmp_path / prefix / "index.html").read_text()
    mirrors = json.loads((tmp_path / "status.json").read_text())["mirrors"]
    assert [mirror["name"] for mirror in mirrors] == ["hagicode-aliyun", "hagicode-azure"]
    one = json.loads((tmp_path / "api/mirrors/hagicode-azure.json").read_text())
    assert (one["status"], one["page"]) == ("up", "https://example.com/status/#others")
