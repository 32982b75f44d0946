"""A compose file gets another source and stays the same in every other character."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from tests.website.conftest import Reader, Sites

HUB = "newbe36524/hagicode"
ALIYUN = "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode"
AZURE = "hagicode.azurecr.io/hagicode"
TARGETS = {"aliyun-acr": ALIYUN, "docker-hub": HUB, "azure-acr": AZURE}


@pytest.fixture(scope="module")
def page(browser: Browser, sites: Sites) -> Iterator[Page]:
    with ExitStack() as stack:
        reader = Reader(browser, sites, stack)
        opened = reader.open("switching/", sample="empty")
        opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield opened
        assert reader.complaints == []


def switched(page: Page, texts: list[str], wanted: str = "aliyun-acr") -> list[dict[str, Any]]:
    """What the module makes of each text."""
    answer: list[dict[str, Any]] = page.evaluate(
        """async ([texts, wanted]) => {
            const { switched } = await import(new URL("../assets/switch.js", location));
            const { sources } = JSON.parse(document.getElementById("switch-facts").textContent);
            return texts.map((text) => switched(text, sources, wanted));
        }""",
        [texts, wanted],
    )
    return answer


# «…» marks what becomes the chosen source; the marks are not part of the file.
CHANGED = {
    "plain": "services:\n  app:\n    image: «newbe36524/hagicode»:0\n",
    "comments and order": (
        "# image: newbe36524/hagicode:0\nservices: # all\n  app:\n    restart: always  # why\n"
        "    image:   «newbe36524/hagicode»:0   # newbe36524/hagicode:0\n\n\n    ports: ['1:2']\n"
    ),
    "quotes": (
        "services:\n  a:\n    image: '«newbe36524/hagicode»:0'\n"
        '  b:\n    "image": "«docker.io/newbe36524/hagicode»:1" # b\n'
    ),
    "no line end": "services:\n  a:\n    image: «newbe36524/hagicode»",
    "carriage returns": (
        "services:\r\n  a:\r\n    image: «newbe36524/hagicode»:0\r\n    tty: true\r\n"
    ),
    "byte order mark": "\ufeffservices:\n  a:\n    image: «newbe36524/hagicode»:0\n",
    "flow": "services: {a: {image: «newbe36524/hagicode»:0, tty: true}, b: {image: redis}}\n",
    "flow over lines": (
        "services: {\n  a: {tty: true, # image: x\n    \"image\": '«newbe36524/hagicode»:0'},\n}\n"
    ),
    "json": '{"services": {"a": {"command": ["image:", "x"], "image": "«newbe36524/hagicode»:0"}}}',
    "value on the next line": (
        "services:\n  a:\n    image:\n      «newbe36524/hagicode»:0\n    tty: true\n"
    ),
    "folded": "services:\n  a:\n    image: >-\n      «newbe36524/hagicode»:0\n    tty: true\n",
    "digest": "services:\n  a:\n    image: «newbe36524/hagicode»:0@sha256:" + "a" * 64 + "\n",
    "variable in the tag": 'services:\n  a:\n    image: "«newbe36524/hagicode»:${TAG:-0}"\n',
    "default of a variable": "services:\n  a:\n    image: ${IMAGE:-«newbe36524/hagicode»:0}\n",
    "default of a default": "services:\n  a:\n    image: ${A:-${B-«newbe36524/hagicode»:0}}\n",
    "anchor": (
        "x-image: &app «newbe36524/hagicode»:0\nservices:\n  a:\n"
        "    image: *app\n  b:\n    image: *app\n"
    ),
    "merge": (
        "x-app: &app\n  image: &i !!str «newbe36524/hagicode»:0\nservices:\n  a:\n    <<: *app\n"
        "  b:\n    <<: {image: «newbe36524/hagicode»:1}\n"
    ),
    "text that looks like it": (
        "services:\n  a:\n    command: |\n      image: newbe36524/hagicode:1\n\n      x\n"
        '    entrypoint: "a\n      image: newbe36524/hagicode:2"\n'
        "    labels:\n      image: newbe36524/hagicode:3\n"
        "    environment: {image: newbe36524/hagicode:4}\n"
        "    build: {cache_from: [newbe36524/hagicode:5]}\n"
        "    image: «newbe36524/hagicode»:0\n"
        "configs:\n  c:\n    content: |2\n       image: newbe36524/hagicode:6\n"
    ),
    "other images": (
        "services:\n  a:\n    image: newbe36524/hagicode-desktop:0\n"
        "  b:\n    image: xnewbe36524/hagicode\n"
        "  c:\n    image: newbe36524/hagicode/x\n  d:\n    image: «newbe36524/hagicode»\n"
    ),
    "accelerators": (
        "services:\n  a:\n    image: «docker.m.daocloud.io/newbe36524/hagicode»:0\n"
        "  b:\n    image: «m.daocloud.io/docker.io/newbe36524/hagicode»:0\n"
        "  c:\n    image: «index.docker.io/newbe36524/hagicode»:0\n"
    ),
    "other sources": "services:\n  a:\n    image: «hagicode.azurecr.io/hagicode»:0\n",
    "indented lists": (
        "services:\n    a:\n        volumes:\n        - x:/y\n        - type: bind\n"
        "          source: /image\n        image: «newbe36524/hagicode»:0\n"
    ),
    "old form": "app:\n  image: «newbe36524/hagicode»:0\n  volumes:\n    - a:/b\n",
    "a fragment": "    image: «newbe36524/hagicode»:0\n",
    "a list of containers": (
        "containers:\n- name: a\n  image: «newbe36524/hagicode»:0\n- image: redis\n"
    ),
    "several documents": (
        "services:\n  a:\n    image: «newbe36524/hagicode»:0\n---\n"
        "services:\n  b:\n    image: redis\n"
    ),
    "variables of the shell": (
        "services:\n  a:\n    command: sh -c 'echo it''s # no comment'\n"
        "    image: «newbe36524/hagicode»:0\n"
    ),
    "tabs and blanks": (
        "services:\n  a:\n    image:\t «newbe36524/hagicode»:0 \t \n    tty: true \n"
    ),
}


@pytest.mark.parametrize("kind", CHANGED)
@pytest.mark.parametrize("wanted", ["aliyun-acr", "azure-acr"])
def test_only_the_repository_of_the_image_changes(page: Page, kind: str, wanted: str) -> None:
    marked = CHANGED[kind]
    if wanted == "azure-acr" and AZURE in marked:
        marked = marked.replace(AZURE, ALIYUN)
    text = marked.replace("«", "").replace("»", "")
    parts = marked.replace("»", "«").split("«")
    parts[1::2] = [TARGETS[wanted]] * len(parts[1::2])
    [made] = switched(page, [text], wanted)
    assert made["text"] == "".join(parts)
    assert len(made["changes"]) == marked.count("«")
    lines = [marked[:at].count("\n") + 1 for at, c in enumerate(marked) if c == "«"]
    assert [change["line"] for change in made["changes"]] == lines
    assert bool(made["pinned"]) is ("@sha256" in text)
    # Switched again, nothing changes any more.
    [again] = switched(page, [made["text"]], wanted)
    assert again["text"] == made["text"]
    assert again["changes"] == []
    assert again["kept"] == lines


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "hello",
        "services:\n  a:\n    image: redis\n",
        "# image: newbe36524/hagicode:0\n",
        "docker pull newbe36524/hagicode:0\n",
        "services:\n  a:\n    environment:\n      image: newbe36524/hagicode:0\n",
        "services:\n  a:\n    labels:\n      - image: newbe36524/hagicode:0\n",
        "volumes:\n  image: newbe36524/hagicode\nservices: {}\n",
        'services:\n  a:\n    image: "newbe36524',
        "services: {a: {image: ",
        "{[}]{,:::}}: - - -\n? image\n: newbe36524/hagicode\n",
        "image: *nobody\n",
        " " * 20000 + "a" + " " * 20000 + "x",
        "a " * 20000,
    ],
)
def test_what_has_no_image_of_ours_stays_as_it_is(page: Page, text: str) -> None:
    [made] = switched(page, [text])
    assert made == {"text": text, "changes": [], "kept": [], "pinned": []}


def documents(count: int) -> Iterator[dict[str, Any]]:
    """Random compose files with values that need quotes, blocks and escapes."""
    random_ = random.Random(20261124)
    texts = [
        "a: b",
        "image: newbe36524/hagicode:1",
        "x # y",
        "it's",
        'say "no"',
        "line\nimage: newbe36524/hagicode",
        "- a",
        "{b",
        "${X}",
        "密码",
        "  lead",
        "trail ",
        "",
        "*a",
        "&b",
        "!c",
        "yes",
        "1:2",
        "a\tb",
        "long " * 40,
    ]
    images = ["redis", f"{HUB}:0", f"docker.io/{HUB}", f"{AZURE}:0.1", f"{HUB}-x:1"]

    def value(depth: int) -> Any:
        kind = random_.randrange(4 if depth else 2)
        if kind < 2:
            return random_.choice(texts)
        if kind == 2:
            return [value(depth - 1) for _ in range(random_.randrange(4))]
        return {random_.choice(texts): value(depth - 1) for _ in range(random_.randrange(4))}

    for _ in range(count):
        services = {}
        for name in random_.sample(["a", "b b", "c:d", "e#f", "应用"], random_.randrange(1, 5)):
            service = {key: value(2) for key in ("command", "labels", "environment", "x-y")}
            service["image"] = random_.choice(images)
            keys = random_.sample(sorted(service), len(service))
            services[name] = {key: service[key] for key in keys}
        yield {"x-data": {"text": value(2)}, "services": services}


def test_random_files_in_every_style_read_the_same_but_for_the_image(page: Page) -> None:
    styles: list[dict[str, Any]] = [
        {},
        {"default_flow_style": True},
        {"default_flow_style": None},
        {"default_style": '"'},
        {"default_style": "'"},
        {"default_style": "|"},
        {"width": 20, "indent": 4},
        {"allow_unicode": True, "line_break": "\r\n"},
    ]
    wanted, texts = [], []
    for number, document in enumerate(documents(240)):
        texts.append(yaml.safe_dump(document, sort_keys=False, **styles[number % len(styles)]))
        after = yaml.safe_load(texts[-1])
        for service in after["services"].values():
            for source in (f"docker.io/{HUB}", HUB, AZURE):
                name, _, tag = service["image"].partition(":")
                if name == source:
                    service["image"] = ALIYUN + (f":{tag}" if tag else "")
        wanted.append(after)
    for text, after, made in zip(texts, wanted, switched(page, texts), strict=True):
        assert yaml.safe_load(made["text"]) == after, text
        # Put back, the text is the old one.
        back = made["text"]
        for change in reversed(made["changes"]):
            head, found, tail = back.rpartition(change["after"])
            assert found
            back = head + change["before"] + tail
        assert back == text


@pytest.mark.parametrize("prefix", ["", "en/"])
def test_a_person_pastes_a_file_and_copies_it_with_the_other_source(
    page: Page, prefix: str
) -> None:
    start = page.url.partition("/mirror/")[0]
    page.goto(f"{start}/mirror/{prefix}switching/")
    expect(page.locator("#switch-target")).to_have_value("aliyun-acr")  # the reader is in China
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    text = "services:\r\n  a:\r\n    image: newbe36524/hagicode:0 # mine\r\n    x: SECRET\r\n"
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.focus("#switch-file")
    page.keyboard.press("Control+V")
    expect(page.locator("#switched")).to_contain_text(f"{ALIYUN}:0 # mine")
    page.click("#switch-copy")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("\r\n", "\n") == text.replace(HUB, ALIYUN).replace("\r\n", "\n")
    with page.expect_download() as caught:
        page.click("#switch-download")
    assert Path(caught.value.path()).read_bytes() == text.replace(HUB, ALIYUN).encode()
    expect(page.locator("#switch-report")).to_contain_text(f"{HUB} → {ALIYUN}")
    page.select_option("#switch-target", "docker-hub")
    expect(page.locator("#switch-output")).to_be_hidden()
    expect(page.locator("#switch-report p")).to_have_count(1)
    page.fill("#switch-file", "services: {}")
    expect(page.locator("#switch-report")).to_contain_text("newbe36524/hagicode:0")
    assert [url for url in sent if not url.startswith("blob:")] == []


def test_a_chosen_file_keeps_its_bytes_and_one_that_is_no_text_is_refused(
    page: Page, tmp_path: Path
) -> None:
    start = page.url.partition("/mirror/")[0]
    page.goto(f"{start}/mirror/switching/")
    file = tmp_path / "docker-compose.yml"
    text = f"\ufeff# 说明\r\nservices:\n  a:\r    image: '{HUB}:0'\r\n"
    file.write_bytes(text.encode())
    page.set_input_files("#switch-upload", file)
    expect(page.locator("#switched")).to_contain_text(ALIYUN)
    with page.expect_download() as caught:
        page.click("#switch-download")
    assert Path(caught.value.path()).read_bytes() == text.replace(HUB, ALIYUN).encode()
    other = tmp_path / "other.yml"
    other.write_bytes(b"\xff\xfe\x00")
    page.set_input_files("#switch-upload", other)
    expect(page.locator("#switch-report")).to_contain_text("UTF-8")
    expect(page.locator("#switch-output")).to_be_hidden()


def test_without_script_it_says_so(reader: Reader) -> None:
    page = reader.open("switching/", sample="empty", script=False)
    expect(page.locator(".hc-old")).to_contain_text("JavaScript")
    expect(page.locator("#switch-form")).to_be_hidden()
