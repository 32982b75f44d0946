"""Standard output and error: what may be shown on them, in which encoding, and through which pager.

A terminal gets colours, its width and a pager; a pipe or a file gets the same text without any of
them, so that what a script reads does not depend on the window that it was started from.
"""

from __future__ import annotations

import codecs
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING

import click

from mirror.logs import logs_json
from mirror.outside_text import escaped

if TYPE_CHECKING:
    from rich.console import Console

# Replacements for characters that GBK, latin-1 or ASCII cannot encode.
# All but the comparisons are as wide as what they replace.
_STAND_INS = {
    **{"→": ">", "✔": "+", "✘": "x", "·": ".", "…": "...", "≥": ">=", "≤": "<=", "×": "x"},
    **dict(zip("▁▂▃▄▅▆▇█", ".:-=+*%#", strict=True)),
    **{"–": "-", "—": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "─": "-", "│": "|"},
}
_ERRORS = "mirror.stand-in"


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(
        _STAND_INS.get(each, each.encode("ascii", "backslashreplace").decode()) for each in lacking
    ), error.end


codecs.register_error(_ERRORS, _stand_in)


def open_closed_streams() -> None:
    """Give a command that was started with a closed standard stream (`<&-`) an empty one.

    The next file or socket would get its number otherwise: uvloop aborts, and what is printed would
    go into a connection.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)
        setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def escape_unencodable() -> None:
    """Write characters that GBK, latin-1 or ASCII lack as > or \\u2192 instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def displayable(text: str, encoding: str = "utf-8") -> str:
    """The text as one line that the encoding has, and that no terminal takes for a command."""
    shown = escaped(text).replace("\n", "\\n").replace("\t", "\\t")
    try:
        return shown.encode(encoding, _ERRORS).decode(encoding)
    except LookupError:  # an encoding that Python does not know
        return shown


def report_error(message: str) -> None:
    """Print an error or a warning as one line on stderr; where logs are JSON, log it."""
    if logs_json():
        logging.getLogger("mirror").error("%s", message)
    else:
        click.echo(f"mirror: {displayable(message)}", err=True)


def in_terminal() -> bool:
    """Whether a person reads standard output as it appears."""
    return sys.stdout.isatty()


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours nothing where NO_COLOR is set, in a dumb terminal and in a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    plain = not stream.isatty() or bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr,
        color_system=None if plain else "auto",
        force_terminal=stream.isatty(),
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )


@contextmanager
def paged() -> Iterator[Console]:
    """A console of standard output; in a terminal that is too short for it, through PAGER."""
    console = make_console()
    if not in_terminal():
        yield console
        return
    collected = BytesIO()
    console.file = TextIOWrapper(collected, sys.stdout.encoding, _ERRORS, write_through=True)
    try:
        yield console
    finally:
        _page(collected.getvalue())


def _page(text: bytes) -> None:
    command = _pager()
    sys.stdout.flush()
    if not command or text.count(b"\n") < shutil.get_terminal_size().lines:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        return
    # As git does: quit if it fits, keep colours, leave the text on the screen.
    environment = {"LESS": "FRX", "LV": "-c"} | dict(os.environ)
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as pager:
        pager.communicate(text)  # ends early without an error when the reader quits


def _pager() -> list[str]:
    """The pager's command line; empty where there is none, or people want none."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if os.environ.get("TERM") in (None, "dumb") or command[:1] in ([], ["cat"]):
        return []
    return command if shutil.which(command[0]) else []
