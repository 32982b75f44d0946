"""A message as text: Chinese first, then English, within a channel's limit of bytes.

The link and the Chinese part come first, so that a limit cuts off the end of the English.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from mirror.alerts.channels.message import Event, Message
from mirror.config import Severity
from mirror.history import Bilingual
from mirror.units import format_moment

TAGS_SHOWN = 20
ERRORS_SHOWN = 3
ERROR_LENGTH = 240
TITLE_LENGTH = 150

_BEIJING = timezone(timedelta(hours=8))
_SEVERITY = {
    Severity.INFO: Bilingual("提示", "INFO"),
    Severity.WARNING: Bilingual("警告", "WARNING"),
    Severity.CRITICAL: Bilingual("严重", "CRITICAL"),
}
_EVENT = {
    Event.OPENED: Bilingual("", ""),
    Event.REPEATED: Bilingual("仍未恢复：", "Still: "),
    Event.RECOVERED: Bilingual("已恢复：", "Recovered: "),
    Event.TEST: Bilingual("测试：", "Test: "),
}
# Registries' answers and tags end up in chat markup, and neither WeCom's markdown nor Feishu's
# text (`<at user_id="all">`) has an escape character: look-alikes replace markup.
_MARKUP = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "`": "ˋ", "*": "＊"})


def plain(value: str) -> str:
    """A recorded value as one line without markup."""
    printable = "".join(char if char.isprintable() else " " for char in value)
    return " ".join(printable.split()).translate(_MARKUP)


def title(message: Message) -> str:
    """One line for a subject or a notification, at most TITLE_LENGTH characters."""
    label = _SEVERITY[message.severity]
    prefix = _EVENT[message.event]
    mark = f"[{'恢复' if message.event is Event.RECOVERED else label.zh} {_label(message)}]"
    where = f" {plain(message.mirror)}" if message.mirror else ""
    line = f"{mark}{where} {prefix.zh}{plain(message.what.zh)} / {plain(message.what.en)}"
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


def text(message: Message, limit: int) -> str:
    """Plain text of at most `limit` bytes of UTF-8, cut at the end of a character."""
    return _fit(message, limit, lambda tags: _lines(message, tags, "{name}", "{url}"))


def markdown(message: Message, limit: int) -> str:
    """Markdown that both DingTalk and WeCom render, of at most `limit` bytes of UTF-8."""
    return _fit(message, limit, lambda tags: _lines(message, tags, "**{name}**", "[{url}]({url})"))


def cut(value: str, limit: int) -> str:
    """The value itself, or its beginning and an ellipsis in at most `limit` bytes of UTF-8."""
    encoded = value.encode()
    if len(encoded) <= limit:
        return value
    ellipsis = "…"
    room = limit - len(ellipsis.encode())
    return encoded[:room].decode(errors="ignore") + ellipsis


def _fit(message: Message, limit: int, form: Callable[[int], list[str]]) -> str:
    whole = ""
    for tags in (TAGS_SHOWN, 8, 3):
        whole = "\n\n".join([title(message), *form(tags)])
        if len(whole.encode()) <= limit:
            return whole
    return cut(whole, limit)


def _lines(message: Message, tags: int, label: str, link: str) -> list[str]:
    """The body's lines: the link, the Chinese part, the English part."""

    def field(name: str, value: str) -> str:
        # Markdown's bold ends only before a space, when its last character is punctuation.
        plain_chinese = label == "{name}" and name.endswith("：")
        return label.format(name=name) + ("" if plain_chinese else " ") + value

    lines = []
    if message.link:
        lines.append(field("运行记录 Run:", link.format(url=message.link)))
    errors = [
        _shorten(plain(error), ERROR_LENGTH) for error in message.errors[:ERRORS_SHOWN] if error
    ]
    for chinese in (True, False):
        lines += [field(*pair) for pair in _fields(message, tags, chinese)]
        if chinese:
            lines += errors
    return lines


def _fields(message: Message, tags: int, chinese: bool) -> list[tuple[str, str]]:
    def pick(words: Bilingual) -> str:
        return words.zh if chinese else words.en

    recovered = message.event is Event.RECOVERED
    fields = [
        (
            pick(Bilingual("情况：", "What:")),
            pick(_EVENT[message.event]) + plain(pick(message.what)),
        ),
        (pick(Bilingual("开始时间：", "Since:")), _moment(message.since, chinese)),
    ]
    if recovered:
        fields.append((pick(Bilingual("恢复时间：", "Until:")), _moment(message.at, chinese)))
    if message.mirror:
        fields.append((pick(Bilingual("镜像：", "Mirror:")), plain(message.mirror)))
    if message.tags:
        fields.append((pick(Bilingual("标签：", "Tags:")), _tags(message.tags, tags, chinese)))
    if message.consequences:
        named = pick(Bilingual("；", "; ")).join(pick(words) for words in message.consequences)
        over = Bilingual("一并恢复：", "Also over:")
        fields.append((pick(over if recovered else Bilingual("影响：", "Affected:")), plain(named)))
    if message.reason:
        fields.append((pick(Bilingual("原因：", "Reason:")), plain(pick(message.reason))))
    if not recovered:
        fields.append((pick(Bilingual("处理：", "What to do:")), pick(message.advice)))
    return fields


def _tags(tags: tuple[str, ...], shown: int, chinese: bool) -> str:
    head = ", ".join(plain(tag) for tag in tags[:shown])
    if len(tags) <= shown:
        return head
    return f"{head} 等 {len(tags)} 个" if chinese else f"{head} and {len(tags) - shown} more"


def _moment(at: datetime, chinese: bool) -> str:
    if chinese:
        return f"{at.astimezone(_BEIJING):%Y-%m-%d %H:%M}（北京时间）"
    return format_moment(at)


def _label(message: Message) -> str:
    if message.event is Event.RECOVERED:
        return "RECOVERED"
    return _SEVERITY[message.severity].en


def _shorten(value: str, length: int) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"
