"""The command `mirror`: one module per command, imported when it is used."""

from flows.cli.app import main

__all__ = ["main"]
