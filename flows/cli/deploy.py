"""`mirror deploy`: the deployments of mirrors.yaml at a Prefect server."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.options import config_option, json_option
from flows.orchestration import prepare_prefect, run
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError

if TYPE_CHECKING:
    from flows.orchestration import Deployed, Scheduled


@click.command("deploy")
@click.option("--work-pool", default="mirrors", show_default=True, help="Work pool of the runs.")
@click.option("--work-queue", help="Work queue of the runs (default: the pool's own).")
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them to a file that `prefect deploy --all` reads, and deploy nothing.",
)
@click.option("--no-watch", is_flag=True, help="Leave out the watch: `mirror watch` runs.")
@click.option(
    "--automations",
    metavar="TYPE/NAME",
    help="Also make Prefect's own alerts, sent by this notification block, such as"
    " slack-webhook/operators.",
)
@json_option("one object: what was or would be added, changed, removed")
@config_option
def command(
    config: Path | None,
    no_watch: bool,
    work_pool: str,
    work_queue: str | None,
    dry_run: bool,
    write: Path | None,
    automations: str | None,
    as_json: bool,
) -> None:
    """Make the deployments at the server of PREFECT_API_URL those of mirrors.yaml.

    Deployments of mirrors that are gone are removed. Repeating it changes nothing.
    """
    settings = load_settings(config)
    if write is not None:
        from flows.orchestration import prefect_file

        write.write_text(prefect_file(_planned(settings, no_watch), work_pool), encoding="utf-8")
        click.echo(json.dumps({"written": str(write)}) if as_json else f"{write} written")
        return
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise ConfigError(
            "PREFECT_API_URL is not set: name the server's API, such as http://127.0.0.1:4200/api;"
            " `mirror up` deploys by itself"
        )
    prepare_prefect()
    from flows.orchestration import deploy

    done = run(
        deploy(
            url,
            _planned(settings, no_watch),
            work_pool,
            Path.cwd(),
            work_queue=work_queue,
            dry_run=dry_run,
        )
    )
    made = None
    if automations is not None:
        from flows.orchestration import deploy_automations

        planned = _planned(settings, no_watch)
        made = run(deploy_automations(url, planned, work_pool, automations, dry_run=dry_run))
    if as_json:
        document = {**asdict(done), "automations": asdict(made) if made else None}
        click.echo(json.dumps({**document, "dry_run": dry_run}))
        return
    _show(done, dry_run=dry_run)
    if made is not None:
        for sign, names in (("+", made.added), ("~", made.changed), ("-", made.removed)):
            for name in names:
                click.echo(f"{sign} automation {name}")


def _planned(settings: Settings, no_watch: bool) -> tuple[Scheduled, ...]:
    from flows.orchestration import WATCH, planned

    return tuple(each for each in planned(settings) if not no_watch or each.full_name != WATCH)


def _show(done: Deployed, *, dry_run: bool) -> None:
    for name in done.added:
        click.echo(f"+ {name}")
    for name, what in done.changed.items():
        click.echo(f"~ {name}: {', '.join(what)}")
    for name in done.removed:
        click.echo(f"- {name}")
    counts = f"{len(done.added)} new, {len(done.changed)} changed, {len(done.removed)} removed"
    click.echo(f"{counts}, {len(done.unchanged)} unchanged{' (dry run)' if dry_run else ''}")
