"""The click group of the command `mirror`.

Each command is a module of flows/cli and is imported when it is used: Prefect alone takes two
seconds to import, and `mirror status` does not need it.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from flows.cli.streams import escape_unencodable, open_closed_streams, report_error
from flows.orchestration import bypass_proxies, follow_log_settings
from mirror.errors import MirrorError

COMMANDS = {
    "sync": "Sync mirrors with their sources now.",
    "watch": "Check all sources and sync the mirrors whose source changed.",
    "status": "Show each mirror: last run, tags in sync, lag, failures.",
    "report": "Show success rate, delay, failures and runs of a period.",
    "sql": "Query the history, read-only.",
    "audit": "Compare targets with their sources and the history.",
    "probe": "Pull from source and mirror as a user would, and time it.",
    "doctor": "Check registries, credentials, capabilities and quotas.",
    "config": "Check mirrors.yaml, and show the effective settings.",
    "publish": "Build the public site from the history.",
    "notify": "Send test messages to the alert channels.",
    "watchdog": "Alert when no sync succeeds, even when Prefect is down.",
    "backup": "Back up the history and Prefect's database to a file.",
    "restore": "Restore both from a backup.",
    "unlock": "Take a target's lock away from a run that hangs.",
    "migrate": "Migrate the history database to the newest schema.",
    "maintain": "Create new partitions, drop old ones, roll up closed days.",
    "serve": "Serve the published site and /metrics.",
    "deploy": "Make the deployments at a Prefect server those of mirrors.yaml.",
    "up": "Run everything on this machine from mirrors.yaml.",
    "demo": "Show a guided run on sample registries.",
    "completion": "Print the completion of mirror for a shell.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name from flows.cli."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None if it is unknown."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"flows.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"flows.cli.{cmd_name}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name. Raises UsageError with the one that was meant."""
        from mirror.config import did_you_mean

        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"no such command {name!r}{did_you_mean(name, COMMANDS)}; see mirror --help")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands that begin so, without importing them."""
        found = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hagicode-mirror", prog_name="mirror")
def mirror() -> None:
    """Keep faithful mirrors of container images, and the history that proves it."""


def main(arguments: list[str] | None = None) -> None:
    """Run `mirror` and exit: 0 success, 1 a mirror failed, 2 bad usage or configuration."""
    # The garbage collector's defaults suit small heaps. What is imported here never becomes
    # garbage: scanning it again and again, and at exit, takes a quarter of a short run.
    gc.set_threshold(50_000, 20, 50)
    atexit.register(gc.freeze)
    open_closed_streams()
    escape_unencodable()
    try:
        follow_log_settings()
        bypass_proxies()
        code = mirror.main(arguments, prog_name="mirror", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        where = f"{error.ctx.command_path}: " if error.ctx else "mirror: "
        fail(where + error.format_message().replace("\n", " "), 2)
    except click.ClickException as error:
        fail(error.format_message(), 2)
    except MirrorError as error:
        fail(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> None:
    """Print one line on stderr and exit with the code."""
    report_error(message.removeprefix("mirror: "))
    sys.exit(code)
