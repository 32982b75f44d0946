"""Standard output and error that can show any text, whatever their encoding."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def escape_unencodable() -> None:
    """Write characters that GBK, latin-1 or ASCII lack as \\u2192 instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
