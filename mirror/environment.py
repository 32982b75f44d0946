"""What programs that are started get of this process's environment."""

from __future__ import annotations

import os
from typing import Final

BASIC: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "VIRTUAL_ENV"),
        *("TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"),
        *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS"),
        *("MIRROR_LOG", "MIRROR_LOG_LEVEL"),
    }
)
"""What any program needs of its surroundings. Credentials go to those alone that need them."""


def basic_environment() -> dict[str, str]:
    """The variables of BASIC that are set."""
    return {name: os.environ[name] for name in BASIC if name in os.environ}
