"""A command in a pseudo terminal of a given size."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
from collections.abc import Mapping, Sequence


def in_terminal(
    command: Sequence[str], environment: Mapping[str, str], columns: int = 80, lines: int = 24
) -> str:
    """What a command prints in a terminal of that size."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (lines, columns))
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**own, "TERM": "xterm-256color", "PAGER": "cat", **environment},
    ) as process:
        os.close(its)
        out = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side has closed: Linux says EIO
                break
            if not part:
                break
            out += part
        os.close(ours)
        process.wait(60)
    return out.decode(errors="replace").replace("\r\n", "\n")
