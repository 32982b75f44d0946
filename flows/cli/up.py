"""`mirror up`: everything on this machine, for the mirrors of mirrors.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import PORT, config_option
from flows.local import choose_port, locked_data_folder, run_until_stopped
from mirror.config import load_settings
from mirror.history import data_dir
from mirror.logs import output_as_logs


@click.command("up", help="Run everything on this machine from mirrors.yaml, until stopped.")
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--ui-port",
    default=4200,
    show_default=True,
    type=PORT,
    help="Port of Prefect's UI and API; 0: any free one.",
)
@click.option(
    "--site-port",
    default=8080,
    show_default=True,
    type=PORT,
    help="Port of the site and /metrics; 0: any free one.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the published site (default: MIRROR_SITE_DIR, else in the data folder).",
)
def command(
    config: Path | None, host: str, ui_port: int, site_port: int, site: Path | None
) -> None:
    """Check settings and ports before starting anything, then run until SIGINT or SIGTERM."""
    settings = load_settings(config)
    with locked_data_folder(data_dir()):
        ui_port = choose_port(host, ui_port, "Prefect's server", "--ui-port")
        site_port = choose_port(host, site_port, "the site", "--site-port")
        # Prefect takes seconds to import: a wrong port is reported first.
        from flows.local import run_machine
        from mirror.website import site_folder_of_environment

        site = (site or site_folder_of_environment()).absolute()

        with output_as_logs("mirror.up"):
            run_until_stopped(run_machine(settings, host, ui_port, site_port, site))
