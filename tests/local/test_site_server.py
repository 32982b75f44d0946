"""The site and /metrics as a browser and a scraper see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from flows.local.ports import choose_port
from flows.local.site_server import METRICS_TYPE, application, serve_site


def build(folder: Path, words: str) -> Path:
    (folder / "en").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(f"<p>{words}")
    (folder / "en" / "index.html").write_text("<p>english")
    (folder / "404.html").write_text("<p>nothing here")
    (folder / "assets" / "main.0a1b2c3d.css").write_text("p{}")
    (folder / "feed.atom").write_text("<feed/>")
    (folder / "metrics.txt").write_text("# EOF\n")
    return folder


@pytest.fixture
def public(tmp_path: Path) -> Path:
    link = tmp_path / "public"
    link.symlink_to(build(tmp_path / "build-1", "first"), target_is_directory=True)
    (tmp_path / "secret").write_text("not to be served")
    return link


@pytest.fixture
async def site(public: Path) -> AsyncIterator[httpx.AsyncClient]:
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    async with (
        serve_site(public, "127.0.0.1", port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def test_a_page_is_fresh_and_guarded(site: httpx.AsyncClient) -> None:
    answer = await site.get("/")
    assert (answer.status_code, answer.text) == (200, "<p>first")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
    again = await site.get("/", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_a_file_named_by_its_content_may_be_kept(site: httpx.AsyncClient) -> None:
    answer = await site.get("/assets/main.0a1b2c3d.css")
    assert "immutable" in answer.headers["cache-control"]


async def test_a_folder_is_its_index(site: httpx.AsyncClient) -> None:
    moved = await site.get("/en")
    assert (moved.status_code, moved.headers["location"]) == (301, "/en/")
    assert (await site.get("/en/")).text == "<p>english"


async def test_feed_and_metrics_have_their_types(site: httpx.AsyncClient) -> None:
    feed = await site.get("/feed.atom")
    assert feed.headers["content-type"] == "application/atom+xml; charset=utf-8"
    metrics = await site.get("/metrics")
    assert (metrics.text, metrics.headers["content-type"]) == ("# EOF\n", METRICS_TYPE)


async def test_the_next_build_is_served_once_it_is_swapped_in(
    site: httpx.AsyncClient, public: Path, tmp_path: Path
) -> None:
    assert (await site.get("/")).text == "<p>first"
    fresh = tmp_path / "fresh"
    fresh.symlink_to(build(tmp_path / "build-2", "second"), target_is_directory=True)
    fresh.replace(public)
    assert (await site.get("/")).text == "<p>second"


async def test_what_is_not_there_is_the_sites_own_404(site: httpx.AsyncClient) -> None:
    answer = await site.get("/nowhere")
    assert (answer.status_code, answer.text) == (404, "<p>nothing here")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/en/..%2f..%2fsecret"])
async def test_nothing_outside_the_folder_is_served(site: httpx.AsyncClient, path: str) -> None:
    answer = await site.get(path)
    assert answer.status_code in (403, 404)
    assert "not to be served" not in answer.text


async def test_before_the_first_build_it_says_so(tmp_path: Path) -> None:
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    async with serve_site(tmp_path / "absent", "127.0.0.1", port), httpx.AsyncClient() as client:
        for path in ("", "metrics"):
            answer = await client.get(f"http://127.0.0.1:{port}/{path}")
            assert (answer.status_code, answer.text) == (503, "nothing is published yet\n")
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/%00", "/a%00b", "/" + "a" * 7000, "/" + "a/" * 3500, "/%ff"])
async def test_an_absurd_path_is_not_found(
    site: httpx.AsyncClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await site.get(path)
    assert answer.status_code == 404
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert caplog.records == []


async def test_a_redirect_stays_on_this_host(site: httpx.AsyncClient) -> None:
    answer = await site.get("/en", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (301, "/en/")
    answer = await site.get("//evil.example/..//en")
    assert answer.headers.get("location", "/en/") == "/en/"


async def test_only_reading_is_allowed(site: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await site.request(method, "/index.html")).status_code == 405
    assert (await site.head("/")).status_code == 200


async def test_routes_of_others_come_first(public: Path) -> None:
    async def hook(request: Request) -> Response:
        return PlainTextResponse(request.path_params["kind"], 202)

    app = application(public, routes=[Route("/hooks/{kind}/{secret}", hook, methods=["POST"])])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        answer = await client.post("/hooks/hub/s3cret")
        assert (answer.status_code, answer.text) == (202, "hub")
        assert (await client.get("/")).text == "<p>first"
