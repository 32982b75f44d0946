"""Text from outside: what registries, services, programs and the environment say.

All of it passes here before it is an error, a log line, a row, an artifact, an alert or a page:
the secrets of this process are redacted in every form in which they may be quoted, characters that
command a terminal or reorder text are shown escaped, and the length is cut.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

MARK: Final = "[redacted]"
_SHORTEST: Final = 4  # shorter ones occur in any text
_SHORTEST_FOUND: Final = 8  # of a variable that is a secret by its name alone
_TOKENS: Final = 2 << 20  # characters of tokens that are kept: new ones come every few minutes
_LOOKED_AT: Final = 64 << 10  # characters of a text from outside; the rest is not shown
_CUT: Final = 4000  # characters of a text of several lines
_URL_SAFE: Final = str.maketrans("+/", "-_")
# Credentials are looked up in threads, which keep secrets while others redact. Reentrant: what a
# signal interrupts may hold it, and its handler may log.
_lock: Final = threading.RLock()
_forms: set[str] = set()  # in lower case
_tokens: dict[str, None] = {}  # as _forms, in the order in which they were added

# Addresses with a login in them, and logins, of this program and of those that it starts.
_VARIABLES: Final = (
    "MIRROR_DATABASE_URL",
    "MIRROR_HOOK_DATABASE_URL",
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_PASSWORD",
    "PREFECT_SERVER_DATABASE_PASSWORD",
    "PGPASSWORD",
    *("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
)
_SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY|AUTH_STRING"
    r"|CREDENTIALS?)(?:$|_(?:ID|KEY|VALUE))",
    re.IGNORECASE,
)
# Generated passwords are often pasted unescaped: up to the last "@" it may be one.
_LOGINS: Final = (re.compile(r"://([^/?#]*)@", re.DOTALL), re.compile(r"://(.*)@", re.DOTALL))
_PASSWORD_FIELD: Final = re.compile(r"password\s*=\s*(?:'([^']*)'|([^&\s']+))", re.IGNORECASE)
_kept: dict[str, str] = {}  # values of variables, by name, that were kept already


def keep_secret(*secrets: str) -> None:
    """Redact these values from now on, in every form in which they may be quoted."""
    forms = {form for secret in secrets for form in _forms_of(secret)}
    with _lock:
        _forms.update(forms)


def keep_token(token: str) -> None:
    """As keep_secret, for one of many that live for minutes: the oldest are forgotten."""
    forms = _forms_of(token)
    with _lock:
        for form in forms:
            _tokens.pop(form, None)
            _tokens[form] = None
        size = sum(map(len, _tokens))
        while size > _TOKENS:
            oldest = next(iter(_tokens))
            size -= len(oldest)
            del _tokens[oldest]


def _kept_forms() -> list[str]:
    with _lock:
        return [*_forms, *_tokens]


def keep_login(user: str, password: str) -> None:
    """Redact a password from now on, and the pair of user and password as Basic sends it.

    A password that is its user's name is a word like any other: only the pair is redacted.
    """
    if password:
        keep_secret(f"{user}:{password}")
        if password != user:
            keep_secret(password)


def keep_url(url: str) -> None:
    """Redact the login in an address from now on, whether or not it is well-formed."""
    for pattern in _LOGINS:
        if not (found := pattern.search(url)):
            continue
        user, colon, password = found.group(1).partition(":")
        if colon:
            keep_login(user, password)
            keep_login(unquote(user), unquote(password))
        elif len(user) >= _SHORTEST_FOUND and not url.startswith("postgres"):
            # A token in the place of the user, which no database takes.
            keep_secret(user, unquote(user))
    for found in _PASSWORD_FIELD.finditer(url):
        keep_secret(found.group(1) or found.group(2), unquote(found.group(1) or found.group(2)))


def keep_environment(environ: Mapping[str, str] | None = None) -> None:
    """Redact what the environment holds: addresses with logins, and secrets by their names."""
    found = os.environ if environ is None else environ
    names = dict.fromkeys((*_VARIABLES, *(name for name in found if _SECRET_NAME.search(name))))
    for name in names:
        given = found.get(name) or ""
        if not (value := given.strip()) or _kept.get(name) == given:
            continue
        _kept[name] = given
        if "://" in value or ("=" in value and name in _VARIABLES):
            keep_url(value)
        elif name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"):
            keep_login(*value.partition(":")[::2])
            keep_secret(value)
        elif name in _VARIABLES or len(value) >= _SHORTEST_FOUND:
            keep_secret(value)


def redacted(text: str, also: Iterable[str] = ()) -> str:
    """`text` without any secret that was kept, the longest first, in any case of letters.

    also: secrets of this text alone, which elsewhere may be words like any other.
    """
    _look_at_environment()
    lower = text.lower()
    own = {form for secret in also for form in _forms_of(secret)}
    found = [form for form in (*_kept_forms(), *own) if form in lower]
    for form in sorted(found, key=len, reverse=True):
        text = re.sub(re.escape(form), MARK, text, flags=re.IGNORECASE)
    return text


def escaped(text: str) -> str:
    """`text` with what is not printable shown escaped; line ends and tabs stay.

    Those are control characters (ESC and C1 too), bidirectional overrides, characters of no width
    and lone surrogates; spaces of any script stay.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, limit: int = 600, also: Iterable[str] = ()) -> str:
    """`text` as one printable line of at most `limit` characters, without this process's secrets.

    also: as for `redacted`. Redacted before it is cut: a part of a secret
    would not be recognized.
    """
    line = escaped(" ".join(_looked_at(text, limit * 4, also).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def readable(text: str, limit: int = _CUT) -> str:
    """As `one_line`, with its line ends: for text of several lines."""
    found = escaped(_looked_at(text, limit * 4))
    return found if len(found) <= limit else found[: limit - 1] + "…"


def csv_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    shown = escaped(text)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@", "\t", "\n") else shown


def redact_exception(error: BaseException) -> None:
    """Redact what an exception, its notes and those before it say, in place."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(_redacted_value(value) for value in one.args)
        if notes := getattr(one, "__notes__", None):
            one.__notes__ = [redacted(note) for note in notes]
        left += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions


def without_secrets(error: Exception) -> Exception:
    """The error to raise in place of `error`: itself, redacted, wherever its text can be changed.

    Some exceptions make their text of what cannot be changed from here (OSError's file, the command
    of a process, pydantic's input): a RuntimeError with the redacted text takes their place.
    """
    redact_exception(error)
    text = f"{error} {error!r}"
    if redacted(text) == text:
        return error
    return RuntimeError(f"{type(error).__name__}: {readable(str(error))}")


def protect_output() -> None:
    """Redact logs at every level and the tracebacks of crashes: the last line of defence.

    For the whole process, whatever handlers and formatters are installed later. Repeating it does
    nothing.
    """
    keep_environment()
    factory = logging.getLogRecordFactory()
    if getattr(factory, "redacts", False):
        return

    def redacting(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        record = factory(*arguments, **keywords)
        _redact_record(record)
        return record

    redacting.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacting)
    sys.excepthook = _crashed
    threading.excepthook = lambda crash: _crashed(
        crash.exc_type, crash.exc_value or crash.exc_type(), crash.exc_traceback
    )


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(escaped(redacted("".join(lines))))


def _redact_record(record: logging.LogRecord) -> None:
    if isinstance(record.args, tuple):
        record.args = tuple(_redacted_value(value) for value in record.args)
    elif isinstance(record.args, Mapping):
        record.args = {name: _redacted_value(value) for name, value in record.args.items()}
    record.msg = _redacted_value(record.msg)
    if record.exc_info and record.exc_info[1] is None:
        # Logged with exc_info=True outside an except block, as Prefect does for a task that returns
        # a Failed state: every handler would add "NoneType: None".
        record.exc_info = None
    elif record.exc_info and not record.exc_text:
        text = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
        if (clean := redacted(text)) != text:
            record.exc_text = clean
            redact_exception(record.exc_info[1])  # for handlers that format it themselves


def _redacted_value(value: Any) -> Any:
    """A part of a message: unchanged unless what it shows holds a secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    shown = str(value)
    clean = redacted(shown)
    if clean == shown and not isinstance(value, str):
        shown = repr(value)  # what %r, or a list of it, would show
        clean = redacted(shown)
    return value if clean == shown else clean


def _looked_at(text: str, limit: int, also: Iterable[str] = ()) -> str:
    """The start of a text, redacted; no part of a secret that was cut remains."""
    clean = redacted(text[:_LOOKED_AT], also)
    if len(text) > _LOOKED_AT:
        longest = max(map(len, _kept_forms()), default=0)
        clean = clean[: max(0, len(clean) - longest)]
    return clean[:limit]


def _is_shown(character: str) -> bool:
    if character.isprintable() or character in "\n\t":
        return True
    return unicodedata.category(character) == "Zs"


def _look_at_environment() -> None:
    """Keep what was put into the environment since the last time."""
    if any((value := os.environ.get(name)) and _kept.get(name) != value for name in _VARIABLES):
        keep_environment()


def _forms_of(secret: str) -> set[str]:
    """Every form in which a secret may be quoted, in lower case; short ones left out."""
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode()
    safe = base64.urlsafe_b64encode(raw).decode()
    plain = {secret, encoded, encoded.rstrip("="), safe, safe.rstrip("="), raw.hex()}
    # And within something that was encoded as a whole, such as a request or its header.
    plain.update(*(_within_base64(part) for part in (raw, encoded.encode())))
    forms = plain | {form for one in plain for form in _quoted(one)}
    return {form.lower() for form in forms if len(form) >= _SHORTEST}


def _within_base64(raw: bytes) -> set[str]:
    """How these bytes appear in the base64 of a longer text: at three offsets, without the ends."""
    found = set()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw)
        part = whole[4 if offset else 0 : (offset + len(raw)) // 3 * 4].decode()
        if len(part) >= _SHORTEST_FOUND:  # or it occurs in any base64
            found |= {part, part.translate(_URL_SAFE)}
    return found


def _quoted(text: str) -> set[str]:
    try:
        once = {quote(text, safe=""), quote(text), quote_plus(text)}
    except UnicodeEncodeError:
        once = set()
    return (
        once
        | {quote(one, safe="") for one in once}
        | {
            html.escape(text),
            html.escape(text, quote=False),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            json.dumps(text).replace("/", "\\/")[1:-1],
            json.dumps(json.dumps(text)[1:-1])[1:-1],  # JSON within JSON, as of an error's body
            json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
            text.encode("unicode_escape").decode("ascii"),
        }
    )
