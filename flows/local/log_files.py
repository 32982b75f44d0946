"""Logs of child processes: read by their user alone, and never larger than two files of 16 MB."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

LOG_BYTES: Final = 16 * 1024 * 1024
CHECK_INTERVAL: Final = 60.0  # seconds; a program would have to write 16 MB in one to exceed both


def private_log(log: Path) -> BinaryIO:
    """Open a log that only this user reads, whatever the umask and whatever it was before."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "ab")


def set_aside(log: Path) -> None:
    """Move a large log out of the way, over the previous one; nobody may be writing to it."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(previous(log))


def previous(log: Path) -> Path:
    """Where a large log is kept once a new one has begun."""
    return log.with_suffix(".log.1")


async def keep_log_small(log: Path, say: Callable[[str], None]) -> None:
    """Empty a log whenever it has grown large, after copying it over the previous one.

    The program goes on writing to the same file, which it opened for appending. What it writes
    between the copy and the cut is lost: a few lines in many months. Never returns.
    """
    while True:
        await asyncio.sleep(CHECK_INTERVAL)
        try:
            await asyncio.to_thread(_copy_aside, log)
        except OSError as error:
            say(f"{log}: what it held could not be kept: {error.strerror}")


def _copy_aside(log: Path) -> None:
    if log.stat().st_size <= LOG_BYTES:
        return
    kept = previous(log)
    kept.unlink(missing_ok=True)  # first, since the disk may be full
    try:
        with log.open("rb") as written, private_log(kept) as copy:
            shutil.copyfileobj(written, copy)
    finally:
        os.truncate(log, 0)
