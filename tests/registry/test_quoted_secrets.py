"""What a registry quotes of a request never shows a secret."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import httpx
import pytest

from mirror.outside_text import MARK
from mirror.registry import Credential, Endpoint, Registry, RegistryError, RetryPolicy
from tests.registry.scripted import Script, answer

USER, PASSWORD, TOKEN = "mirror@hagicode", "pa:ss w/o\u00e9rd+42", "eyJ0b2tlbg.of.this-test"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="https://registry.example/token",service="s"'}
SECRETS = (PASSWORD, TOKEN, BASIC, quote(PASSWORD), base64.b64encode(PASSWORD.encode()).decode())


def echo(request: httpx.Request, status: int, form: str) -> httpx.Response:
    """A gateway in debug mode: it quotes what it got, and what it thinks of it."""
    sent = request.headers.get("Authorization", "")
    words = f"debug: {sent} {PASSWORD} {BASIC} {quote(PASSWORD)} {TOKEN} " + SECRETS[4]
    body = {
        "json": json.dumps(
            {"errors": [{"code": sent, "message": words, "detail": {"was": words}}]}
        ),
        "text": words,
        "html": f"<html><b>{words}</b></html>",
        "far": " " * 235 + words,
    }[form]
    return answer(status, body, CHALLENGE if status == 401 else None)


@pytest.mark.parametrize("form", ["json", "text", "html", "far"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
async def test_what_a_registry_echoes_shows_no_secret(status: int, form: str) -> None:
    script = Script()
    script.on("/token", answer(200, json.dumps({"token": TOKEN})))
    script.on(
        "/v2/",
        lambda request: (
            echo(request, status, form)
            if "Authorization" in request.headers
            else answer(401, "", CHALLENGE)
        ),
    )
    endpoint = Endpoint(
        "registry.example", credential=lambda _: Credential(USER, PASSWORD, origin="the test")
    )
    async with Registry(endpoint, transport=script, retry=RetryPolicy(attempts=1)) as registry:
        with pytest.raises(RegistryError) as raised:
            await registry.repository("team/app").get_manifest("1.0")
    shown = f"{raised.value} {raised.value.code} {raised.value!r}"
    for secret in SECRETS:
        assert secret not in shown
        assert secret.upper() not in shown


async def test_what_a_token_service_echoes_shows_no_secret() -> None:
    script = Script()
    script.on("/token", lambda request: echo(request, 403, "json"))
    script.on("/v2/", answer(401, "", CHALLENGE))
    endpoint = Endpoint(
        "registry.example", credential=lambda _: Credential(USER, PASSWORD, origin="the test")
    )
    async with Registry(endpoint, transport=script) as registry:
        with pytest.raises(RegistryError) as raised:
            await registry.repository("team/app").get_manifest("1.0")
    assert MARK in str(raised.value)
    sent = set(SECRETS) - {TOKEN}
    assert not [secret for secret in sent if secret in str(raised.value)]


async def test_a_refresh_token_that_nobody_asked_for_is_a_secret_too() -> None:
    renewal = "handed-out/with@the+token"
    script = Script()
    script.on("/token", answer(200, json.dumps({"token": TOKEN, "refresh_token": renewal})))
    script.on(
        "/v2/",
        lambda request: (
            answer(403, f"known: {renewal}")
            if "Authorization" in request.headers
            else answer(401, "", CHALLENGE)
        ),
    )
    async with Registry(Endpoint("registry.example"), transport=script) as registry:
        with pytest.raises(RegistryError) as raised:
            await registry.repository("team/app").get_manifest("1.0")
    assert MARK in str(raised.value)
    assert renewal not in str(raised.value)
