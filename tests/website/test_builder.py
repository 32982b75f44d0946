"""The compose builder as a person uses it, in Chromium, in both languages and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from tests.website.browser import SMALL_PHONE
from tests.website.builder import SECRET, WORDS, file_of, full, opened, take, tick
from tests.website.conftest import Reader
from tests.website.oracle import expected


def test_pasted_text_is_shown_as_it_is_read_and_copied_so(room: tuple[Page, str]) -> None:
    page = full(room, "zh")
    for field, typed, meaning in (
        ("claudeToken", "  \u200bsk-1\u00a0", "sk-1"),
        ("containerName", "\ufeff“ｈａｇｉ”", "hagi"),
        ("imageTag", "\u30000.1\u3000", "0.1"),
        ("httpPort", " ８０８０ ", "8080"),
        ("workdirPath", '"C:\\my code"', "C:\\my code"),
    ):
        page.fill(f"#{field}", typed)
        page.locator(f"#{field}").blur()
        expect(page.locator(f"#{field}")).to_have_value(meaning)
    page.click("#copy")
    copied = yaml.safe_load(page.evaluate("navigator.clipboard.readText()"))
    assert copied == expected(
        {
            "profile": "full-custom",
            "workdirPath": "C:\\my code",
            "claudeToken": "sk-1",
            "containerName": "hagi",
            "imageTag": "0.1",
            "httpPort": "8080",
        }
    )


def test_a_shared_link_has_the_choices_and_no_secret(room: tuple[Page, str]) -> None:
    page = full(room, "zh")
    take(
        page,
        [
            ("fill", "httpPort", "8080"),
            ("fill", "workdirPath", "/srv/a b&c#d"),
            ("fill", "imageTag", "0.1.0-beta.78"),
            ("tick", "codex", True),
            ("fill", "codexKey", SECRET),
            ("fill", "codexUrl", "https://elsewhere.example/"),
            ("select", "claudeProvider", "custom"),
            ("fill", "claudeUrl", "https://elsewhere.example/"),
            ("select", "licenseKeyType", "custom"),
            ("fill", "licenseKey", SECRET),
            ("select", "codeServerAuth", "password"),
            ("fill", "codeServerPassword", SECRET),
            ("check", "acceptEula", True),
            ("check", "https", True),
        ],
    )
    page.check('input[name="source"][value="azure-acr"]')
    page.click("#share")
    expect(page.locator("#share")).to_have_text("已复制")
    link = page.evaluate("navigator.clipboard.readText()")
    assert SECRET not in link
    assert "elsewhere.example" not in link
    assert "acceptEula" not in link
    page.goto("about:blank")
    page.goto(link)
    made = file_of(page)["services"]
    assert made["hagicode"]["image"] == "hagicode.azurecr.io/hagicode:0.1.0-beta.78"
    assert made["hagicode"]["volumes"][0] == "/srv/a b&c#d:/app/workdir"
    assert "https-proxy" in made
    for field, value in (("httpPort", "8080"), ("claudeProvider", "custom"), ("claudeUrl", "")):
        expect(page.locator(f"#{field}")).to_have_value(value)
    expect(page.locator('input[name="executors"][value="codex"]')).to_be_checked()
    expect(page.locator("#acceptEula")).not_to_be_checked()
    # The language switch keeps it; a change of one's own ends it.
    page.click("[data-keep-query]")
    page.wait_for_url("**/en/compose-builder/**")
    expect(page.locator("#httpPort")).to_have_value("8080")
    page.fill("#httpPort", "8081")
    page.wait_for_function("location.hash === ''")


def test_a_made_up_link_sets_nothing_but_valid_choices(room: tuple[Page, str]) -> None:
    made_up = (
        "#claudeToken=x&claudeUrl=https://evil.example&acceptEula=true&hostOS=beos&constructor=1"
        "&__proto__=1&https=maybe&executors=claude,%3Cscript%3E&nonsense=2&%E0%A4%A"
        f"&workdirPath={'x' * 400}&containerName=%22%3E%3Cimg%20src=x%3E"
    )
    page = opened(room, "zh", made_up)
    for field, value in (("claudeToken", ""), ("claudeUrl", ""), ("hostOS", "linux")):
        expect(page.locator(f"#{field}")).to_have_value(value)
    expect(page.locator("#workdirPath")).to_have_value("")
    expect(page.locator("#acceptEula")).not_to_be_checked()
    expect(page.locator("#https")).not_to_be_checked()
    expect(page.locator("input[name=executors]:checked")).to_have_count(1)
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_messages_are_in_the_language_of_the_page(room: tuple[Page, str], language: str) -> None:
    page = opened(room, language)
    expect(page.locator("#verdict")).to_have_text(WORDS["waiting"][language])
    page.click("#download", force=True)
    expect(page.locator("#error-claudeToken")).to_have_text(WORDS["rule_required"][language])
    expect(page.locator("#verdict")).to_contain_text(WORDS["blocked"][language].format(n=2))
    expect(page.locator("#copy")).to_have_text(WORDS["copy"][language])
    expect(page.locator("#copy")).to_be_disabled()
    page.fill("#workdirPath", "/srv/repos")
    page.fill("#claudeToken", SECRET)
    expect(page.locator("#verdict")).to_have_text(WORDS["ready"][language])
    expect(page.locator("#copy")).to_be_enabled()


def test_the_default_file_is_the_facts_default_with_the_recommended_source(
    room: tuple[Page, str], language: str
) -> None:
    page = opened(room, language)
    page.fill("#workdirPath", "/srv/repos")
    page.fill("#claudeToken", SECRET)
    assert file_of(page) == expected({"workdirPath": "/srv/repos", "claudeToken": SECRET})


QUICK = ("httpPort", "workdirPath", "acceptEula", "claudeProvider", "claudeToken")
FULL_ONLY = (
    "containerName",
    "imageTag",
    "hostOS",
    "workdirCreatedByRoot",
    "puid",
    "pgid",
    "licenseKeyType",
    "claudeSonnetModel",
    "claudeOpusModel",
    "claudeHaikuModel",
    "claudeAgentTeams",
    "codeServer",
    "codeServerHost",
    "codeServerPort",
    "codeServerAuth",
    "codeServerPublish",
    "https",
)


def test_quick_start_shows_five_things_and_full_custom_everything(room: tuple[Page, str]) -> None:
    page = opened(room, "zh")
    for field in QUICK:
        expect(page.locator(f"#{field}")).to_be_visible()
    for field in FULL_ONLY:
        expect(page.locator(f"#{field}")).to_be_hidden()
    page.check('input[name="profile"][value="full-custom"]')
    for field in QUICK + FULL_ONLY:
        expect(page.locator(f"#{field}")).to_be_visible()


def test_a_choice_is_in_the_file_and_in_the_address_and_survives_a_reload(
    room: tuple[Page, str],
) -> None:
    page = full(room, "zh")
    page.check('input[name="source"][value="azure-acr"]')
    assert "source=azure-acr" in page.url
    assert "profile=full-custom" in page.url
    assert file_of(page)["services"]["hagicode"]["image"] == "hagicode.azurecr.io/hagicode:0"
    page.reload()
    expect(page.locator('input[name="source"][value="azure-acr"]')).to_be_checked()
    expect(page.locator('input[name="profile"][value="full-custom"]')).to_be_checked()


def test_the_language_switch_keeps_the_page_and_the_choice(room: tuple[Page, str]) -> None:
    page = opened(room, "zh", "?source=docker-hub&profile=full-custom")
    page.click("[data-keep-query]")
    page.wait_for_url("**/en/compose-builder/?source=docker-hub&profile=full-custom")
    expect(page.locator('input[name="source"][value="docker-hub"]')).to_be_checked()


@pytest.mark.parametrize("query", ["?source=nowhere&profile=constructor", "?source=&profile="])
def test_an_invented_address_falls_back_to_the_defaults(room: tuple[Page, str], query: str) -> None:
    page = opened(room, "zh", query)
    expect(page.locator('input[name="source"][value="aliyun-acr"]')).to_be_checked()
    expect(page.locator('input[name="profile"][value="quick-start"]')).to_be_checked()


def test_copy_and_download_give_exactly_the_preview(room: tuple[Page, str]) -> None:
    page = full(room, "zh")
    page.check("#https")
    shown = page.evaluate("document.getElementById('compose').textContent")
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    for button, name, source in (
        ("#download", "docker-compose.yml", "compose"),
        ("#download-caddyfile", "Caddyfile", "caddyfile"),
    ):
        with page.expect_download() as caught:
            page.click(button)
        assert caught.value.suggested_filename == name
        text = Path(caught.value.path()).read_text(encoding="utf-8")
        assert text == page.evaluate(f"document.getElementById('{source}').textContent")
    page.click("#copy-caddyfile")
    expect(page.locator("#copy-caddyfile")).to_have_text("已复制")


def test_the_caddyfile_shows_only_with_https(room: tuple[Page, str]) -> None:
    page = full(room, "zh")
    expect(page.locator("#caddy")).to_be_hidden()
    page.check("#https")
    expect(page.locator("#caddyfile")).to_contain_text("https://192.168.1.100 {")


def test_secrets_never_leave_the_page_and_are_not_stored(room: tuple[Page, str]) -> None:
    page = full(room, "zh")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data}"))
    tick(page, "codex")
    page.fill("#codexKey", SECRET)
    page.select_option("#codeServerAuth", "password")
    page.fill("#codeServerPassword", SECRET)
    page.click("#copy")
    assert SECRET in page.locator("#compose").inner_text()
    assert SECRET not in page.url
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert SECRET not in kept
    assert [url for url in sent if not url.startswith("blob:")] == []
    page.reload()
    expect(page.locator("#codexKey")).to_have_value("")
    expect(page.locator("#claudeToken")).to_have_value("")


def test_the_tags_offered_are_those_that_are_known_at_the_source(
    room: tuple[Page, str],
) -> None:
    page = opened(room, "zh", "?profile=full-custom&source=aliyun-acr")
    offered = page.locator("#known-tags option").evaluate_all("all => all.map(o => o.value)")
    assert offered[0] == "0.1.0-beta.2000"
    page.fill("#imageTag", "not-in-the-list")
    assert file_of(page)["services"]["hagicode"]["image"].endswith(":not-in-the-list")


@pytest.mark.parametrize(
    ("sample", "zone", "source"),
    [
        ("busy", "Asia/Shanghai", "aliyun-acr"),
        ("busy", "Europe/Paris", "docker-hub"),
        ("troubled", "Asia/Shanghai", "docker-hub"),  # Aliyun's mirror fails
        ("empty", "Asia/Shanghai", "aliyun-acr"),
    ],
)
def test_the_recommended_source_has_a_badge_and_a_reason_and_can_be_overridden(
    reader: Reader, sample: str, zone: str, source: str
) -> None:
    page = reader.open("compose-builder/", sample=sample, zone=zone)
    card = page.locator(f'.hc-choice[data-source="{source}"]')
    expect(page.locator("[data-recommended]:visible")).to_have_count(1)
    expect(card.locator("[data-recommended]")).to_be_visible()
    expect(card.locator("[data-reason]:visible, [data-stand-in]:visible")).to_have_count(1)
    expect(card.locator("input")).to_be_checked()
    page.check('input[name="source"][value="azure-acr"]')
    expect(card.locator("[data-recommended]")).to_be_visible()
    assert file_of(page)["services"]["hagicode"]["image"].startswith("hagicode.azurecr.io/")


def test_in_china_the_reason_is_the_speed_there(reader: Reader) -> None:
    page = reader.open("compose-builder/", zone="Asia/Shanghai")
    expect(page.locator("[data-reason]:visible")).to_have_text("国内访问速度快")


def test_a_failing_source_says_so_next_to_its_name(reader: Reader) -> None:
    page = reader.open("compose-builder/", sample="troubled")
    card = page.locator('.hc-choice[data-source="aliyun-acr"]')
    expect(card).to_contain_text("同步失败")
    expect(card).to_contain_text("暂不推荐")
    expect(card).to_contain_text("同步成功率 95%")


@pytest.mark.parametrize("profile", ["quick-start", "full-custom"])
def test_it_fits_a_small_phone(reader: Reader, profile: str, language: str) -> None:
    prefix = "" if language == "zh" else "en/"
    page = reader.open(f"{prefix}compose-builder/?profile={profile}", size=SMALL_PHONE)
    page.fill("#workdirPath", "/srv/repos")
    page.fill("#claudeToken", SECRET)
    expect(page.locator("#copy")).to_be_enabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_script_it_says_so_and_names_the_example(reader: Reader) -> None:
    page = reader.open("compose-builder/", script=False)
    expect(page.locator(".hc-old")).to_contain_text("JavaScript")
    expect(page.locator("#builder-form")).to_be_hidden()
