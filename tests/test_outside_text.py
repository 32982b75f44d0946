"""Text from outside shows no secret, commands no terminal and has an end."""

from __future__ import annotations

import base64
import html
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import pytest

from mirror import outside_text
from mirror.errors import ConfigError
from mirror.outcome import Reason, RunOutcome, RunStatus, TagFailure
from mirror.outside_text import (
    MARK,
    csv_cell,
    escaped,
    keep_environment,
    keep_login,
    keep_secret,
    keep_token,
    keep_url,
    one_line,
    protect_output,
    readable,
    redact_exception,
    redacted,
    without_secrets,
)

SECRET = "s3cr+t/v\u00e4l \"'<&>"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        SECRET.lower(),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        quote(quote(SECRET, safe=""), safe=""),
        html.escape(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET).replace("/", "\\/")[1:-1],
        repr(SECRET)[1:-1],
        SECRET.encode("unicode_escape").decode(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
        SECRET.encode().hex(),
    ],
)
def test_a_secret_is_redacted_in_every_form(form: str) -> None:
    keep_secret(SECRET)
    assert redacted(f"x {form} y") == f"x {MARK} y"
    assert form not in one_line(f"{form} " * 300)


def test_a_secret_in_json_within_json_is_redacted() -> None:
    keep_secret(SECRET)
    for ascii_only in (True, False):
        inner = json.dumps({"was": SECRET}, ensure_ascii=ascii_only)
        assert MARK in redacted(json.dumps({"message": inner}, ensure_ascii=ascii_only))


@pytest.mark.parametrize("before", ["", "1", "22", "Authorization: Basic ", '{"was": "'])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_nothing_of_it_is_left_in_the_base64_of_what_holds_it(
    before: str, encode: Callable[[bytes], bytes]
) -> None:
    keep_login("someone", SECRET)
    pair = base64.b64encode(f"someone:{SECRET}".encode()).decode()
    for held in (SECRET, pair):
        shown = redacted(encode(f"{before}{held} and more".encode()).decode())
        around = encode(f"{before} and more".encode())
        assert MARK in shown
        assert len(shown.replace(MARK, "")) <= len(around) + 8  # where the groups of four begin


def test_short_secrets_and_words_leave_text_alone() -> None:
    keep_secret("abc", "")
    keep_login("mirror", "mirror")
    assert redacted("abc: mirror sync failed") == "abc: mirror sync failed"
    assert redacted("mirror:mirror@host") == f"{MARK}@host"
    assert MARK in redacted(base64.b64encode(b"mirror:mirror").decode())


def test_no_part_of_a_secret_remains_where_a_text_is_cut() -> None:
    keep_secret("S" * 600)
    for start in range(65_000, 65_600, 50):
        text = "\n" * start + "S" * 600 + " after"
        assert "SSSS" not in one_line(text, 20_000)


def test_tokens_are_forgotten_in_their_order_and_credentials_never() -> None:
    keep_secret("the-password")
    for number in range(300):
        keep_token(f"token-{number:04}-" + "x" * 4000)
    assert redacted("the-password") == MARK
    assert MARK in redacted("token-0299-" + "x" * 4000)
    assert MARK not in redacted("token-0000-" + "x" * 4000)
    assert sum(map(len, outside_text._tokens)) <= 2 << 20


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://mirror:p%40ss-word@db:5432/mirror", ["p%40ss-word", "p@ss-word"]),
        ("postgresql://mirror:p@ss-word@db/mirror", ["p@ss-word"]),
        ("postgresql://mirror:p/s?s#-word@db/mirror", ["p/s?s#-word"]),
        ("postgresql://db/mirror?user=a&password=in-the-query", ["in-the-query"]),
        ("http://proxy:p\u00e4ss\u202eword@10.0.0.1:3128", ["p\u00e4ss\u202eword"]),
        ("http://a-long-token@proxy:3128", ["a-long-token"]),
        ("host=db password='quoted one' dbname=x", ["quoted one"]),
    ],
)
def test_the_login_of_an_address_is_redacted_however_it_is_written(
    url: str, shown: list[str]
) -> None:
    keep_url(url)
    for secret in shown:
        assert redacted(f"x {secret} y") == f"x {MARK} y"


def test_what_the_environment_holds_is_redacted() -> None:
    keep_environment(
        {
            "MIRROR_DATABASE_URL": "postgresql://u:database-pass@h/d",
            "https_proxy": "http://u:proxy-pass@h:1",
            "PREFECT_SERVER_API_AUTH_STRING": "admin:prefect-pass",
            "MIRROR_HOOK_SECRET": "hook-secret-value",
            "ALIYUN_ACR_PASSWORD": "acr-pass-word",
            "DINGTALK_TOKEN": "ding-token-value",
            "PGPASSWORD": "pg-pass",
            "HOME": "/home/somebody",
            "TOKENIZER": "a-word-of-no-secret",
            "MIRROR_TOKEN": "short",
        }
    )
    for secret in ("database-pass", "proxy-pass", "prefect-pass", "hook-secret-value"):
        assert redacted(secret) == MARK
    for secret in ("acr-pass-word", "ding-token-value", "pg-pass"):
        assert redacted(secret) == MARK
    assert redacted(base64.b64encode(b"admin:prefect-pass").decode()) == MARK
    for word in ("/home/somebody", "a-word-of-no-secret", "short"):
        assert redacted(word) == word


def test_what_is_put_into_the_environment_later_is_redacted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert redacted("later-secret") == "later-secret"
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:later-secret")
    assert redacted("later-secret") == MARK


def test_control_characters_and_overrides_are_shown_escaped() -> None:
    text = "a\x1b[31mb\x9bc\u202ed\u200be\x00f\ud800g\u2028h"
    assert escaped(text) == "a\\x1b[31mb\\x9bc\\u202ed\\u200be\\x00f\\ud800g\\u2028h"
    assert escaped("line\n\ttab\u00a0narrow\u202f") == "line\n\ttab\u00a0narrow\u202f"
    assert one_line("a\r\nb\tc \x1b]0;x\x07") == "a b c \\x1b]0;x\\x07"
    assert one_line(text).isprintable()
    assert len(one_line("\x1b" * 3_000_000)) <= 600
    assert readable("a\n\x1bb") == "a\n\\x1bb"
    assert len(readable("x" * 10_000)) == 4_000


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(formula: str) -> None:
    assert csv_cell(formula) == f"'{formula}"
    assert csv_cell("1=1\x1b") == "1=1\\x1b"


def test_every_message_of_a_failure_passes_here() -> None:
    keep_secret("the-password")
    bad = "the-password \x1b[2J\u202e\n end" + "x" * 5000
    assert str(ConfigError(bad)).startswith(f"{MARK} \\x1b[2J\\u202e\n end")
    message = TagFailure("1.0", Reason.INTERNAL, bad).message
    assert message.startswith(f"{MARK} \\x1b[2J\\u202e end")
    assert len(message) == 1000
    outcome = RunOutcome("a", "1", RunStatus.FAILED, warnings=(bad,))
    assert outcome.warnings[0].startswith(f"{MARK} \\x1b[2J")


def test_an_exception_and_those_before_it_are_redacted_in_place() -> None:
    keep_secret("the-password")
    inner = ValueError("the-password", 5)
    inner.add_note("note: the-password")
    try:
        try:
            raise inner
        except ValueError as error:
            raise ExceptionGroup("the-password", [OSError(2, "the-password")]) from error
    except ExceptionGroup as error:
        redact_exception(error)
        assert "the-password" not in repr((error, error.exceptions[0].args, inner.args))
    assert inner.args == (MARK, 5)
    assert inner.__notes__ == [f"note: {MARK}"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of the-password", 5),
        FileNotFoundError(2, "No such file", "/run/the-password"),
        subprocess.CalledProcessError(1, ["psql", "--password=the-password"]),
        UnicodeDecodeError("utf-8", b"the-password", 0, 1, "invalid"),
        ExceptionGroup("several", [KeyError("the-password")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_any_kind_is_raised_without_secrets(error: Exception) -> None:
    keep_secret("the-password")
    shown = without_secrets(error)
    assert "the-password" not in f"{shown} {shown!r}"
    assert type(error).__name__ in f"{shown!r} {shown}"


def test_an_exception_that_shows_no_secret_stays_as_it_is() -> None:
    error = FileNotFoundError(2, "No such file", "/etc/mirrors.yaml")
    assert without_secrets(error) is error
    assert error.filename == "/etc/mirrors.yaml"


def test_logs_of_any_level_show_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    protect_output()
    keep_secret("the-password")
    log = logging.getLogger("tests.outside_text")
    with caplog.at_level(logging.DEBUG):
        log.debug("plain the-password")
        log.info("argument %s and %r, %d", "the-password", {"a": b"the-password"}, 5)
        log.warning("%(a)s", {"a": "the-password"})
        try:
            raise ValueError("of the-password")
        except ValueError:
            log.exception("failed")
    assert "the-password" not in caplog.text
    assert caplog.text.count(MARK) == 6
    assert "and" in caplog.text and ", 5" in caplog.text


def test_the_traceback_of_a_crash_shows_no_secret() -> None:
    program = (
        "import threading, mirror.outside_text as t; t.protect_output(); t.keep_secret('the-' + "
        "'password')\n"
        "def fail(): raise ValueError('the-' + 'password \\x1b')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join(); fail()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "the-password" not in ended.stderr
    assert "\x1b" not in ended.stderr
    assert ended.stderr.count(f"ValueError: {MARK} \\x1b") == 2


def test_a_traceback_of_nothing_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As Prefect logs a task that returns a Failed state: exc_info=True without an exception."""
    protect_output()
    logging.getLogger("tests.outside").error("it failed", exc_info=True)
    assert "it failed" in caplog.text and "NoneType" not in caplog.text


@pytest.mark.parametrize("look", [redacted, lambda text: one_line(text, 10)])
def test_secrets_may_be_kept_by_other_threads_while_a_text_is_redacted(
    look: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_text, "_LOOKED_AT", 20)  # longer ones are cut by the longest secret
    keep_secret(*(f"a-secret-{number}" for number in range(500)))  # so that looking takes a while
    over = threading.Event()

    def keep() -> None:
        number = 0
        while not over.is_set():
            number += 1
            keep_secret(f"another-secret-{threading.get_ident()}-{number}")
            keep_token(f"another-token-{threading.get_ident()}-{number}")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(2) as threads:
        keeping = [threads.submit(keep) for _ in range(2)]
        try:
            for _ in range(200):
                assert MARK not in look("nothing to hide in as many words")
        finally:
            over.set()
            sys.setswitchinterval(before)
    for one in keeping:
        one.result()
