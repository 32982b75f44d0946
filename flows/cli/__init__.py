"""The command `mirror`: one module a command, imported when it is asked for."""

from flows.cli.app import main

__all__ = ["main"]
