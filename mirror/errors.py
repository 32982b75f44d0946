"""Errors that end a command, each one clear line on stderr.

MirrorError            exit 1: a mirror failed, or something it needs is unavailable
├── UsageError         exit 2: wrong command line
│   └── ConfigError    exit 2: mirrors.yaml or the environment is wrong; names file, key, remedy
├── DatabaseError      the history database cannot be reached, or its schema is behind
└── PrefectError       Prefect's server cannot be reached, or fails
"""

from __future__ import annotations

from mirror.outside_text import readable


class MirrorError(Exception):
    """What happened, where, and what to do, in one line without secrets."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class UsageError(MirrorError):
    """The command line is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """mirrors.yaml or the environment is wrong."""


class DatabaseError(MirrorError):
    """The history database cannot be reached, or its schema is behind."""


class PrefectError(MirrorError):
    """Prefect's server cannot be reached, or fails."""
