"""`mirror doctor`: check registries, credentials, capabilities and quotas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal
from rich.text import Text

from flows.cli.options import config_option, json_option
from flows.cli.progress_bar import working
from flows.cli.streams import paged
from flows.cli.tables import make_table, print_text
from flows.orchestration import prepare_prefect, run
from mirror.checks import CheckLevel, Diagnosis, Examination, examine
from mirror.config import load_settings
from mirror.registry import PLAIN_WAYS, OptionalRequest
from mirror.units import format_count

_MARKS = {
    CheckLevel.OK: ("yes", "green"),
    CheckLevel.UNKNOWN: ("?", "dim"),
    CheckLevel.WARNING: ("no", "yellow"),
    CheckLevel.FAILURE: ("no", "red"),
}
_COLOURS = {CheckLevel.WARNING: "yellow", CheckLevel.FAILURE: "red"}


@click.command("doctor")
@json_option("one object with all findings")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Check what syncs need at every registry; exits 1 when a sync would fail.

    Changes nothing: at targets it opens an upload and cancels it.
    """
    settings = load_settings(config)
    with working("checking registries"):
        diagnosis = run(examine(settings, _load_secret))
    if as_json:
        click.echo(json.dumps(as_document(diagnosis), indent=2))
    else:
        _show(diagnosis)
    ctx.exit(0 if diagnosis.well else 1)


def _load_secret(name: str) -> str:
    """Prefect takes two seconds to import, so only a Secret block imports it."""
    prepare_prefect()
    from flows.orchestration import load_secret

    return load_secret(name)


def as_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "ok": diagnosis.well,
        "record": asdict(diagnosis.record),
        "registries": [_place_document(one) for one in diagnosis.examined],
    }


def _place_document(one: Examination) -> dict[str, Any]:
    return {
        "registry": one.place.registry,
        "repository": one.place.repository or None,
        "role": one.place.role,
        "mirrors": list(one.place.mirrors),
        "kind": one.kind,
        "credential": one.credential,
        "credential_expires_at": one.expires_at.isoformat() if one.expires_at else None,
        "tags": one.tags,
        "quota": {
            "limit": one.quota.limit,
            "remaining": one.quota.remaining,
            "window_seconds": one.quota.window_seconds,
        }
        if one.quota
        else None,
        "abilities": dict(one.abilities),
        "refusals": {
            name: {
                "reason": refusal.reason,
                "at": refusal.at.isoformat(),
                "until": refusal.until.isoformat(),
            }
            for name, refusal in one.refusals.items()
        },
        "checks": [asdict(check) for check in one.checks],
    }


def _show(diagnosis: Diagnosis) -> None:
    table = make_table(
        *("registry", "role", "reached", "credential?1", "pull", "push", "anonymous?3", "quota?4"),
        "capabilities?5",
    )
    for one in diagnosis.examined:
        name = "/".join(part for part in (one.place.registry, one.place.repository) if part)
        quota = f"{one.quota.remaining}/{one.quota.limit}" if one.quota else ""
        table.add_row(
            name,
            one.place.role,
            _mark(one, "reach"),
            one.credential or "none: anonymous",
            _mark(one, "pull"),
            _mark(one, "push"),
            _mark(one, "anonymous"),
            quota,
            _abilities(one.abilities),
        )
    with paged() as console:
        table.print(console)
        for one in diagnosis.examined:
            for check in one.checks:
                if check.level in _COLOURS:
                    line = f"{check.level.value}: {check.what}: {check.message}"
                    print_text(console, line, _COLOURS[check.level], hang=2)
            for name, refusal in one.refusals.items():
                way = PLAIN_WAYS[OptionalRequest(name)]
                line = (
                    f"note: {name.replace('_', ' ')} does not work, so {way}: {refusal.reason}"
                    f" (seen {refusal.at:%Y-%m-%d %H:%M} UTC)"
                )
                print_text(console, line, hang=2)
        if diagnosis.record.level is CheckLevel.FAILURE:
            print_text(console, f"failure: record: {diagnosis.record.message}", "red", hang=2)
        verdict = _verdict(len(diagnosis.failures))
        print_text(console, verdict, "green" if diagnosis.well else "red")


def _verdict(failures: int) -> str:
    if failures == 0:
        return "all checks passed"
    return f"{format_count(failures, 'problem')} would make a sync fail"


def _mark(one: Examination, what: str) -> Text:
    level = one.level(what)
    return Text(*_MARKS[level]) if level else Text()


def _abilities(found: Mapping[str, str | int | bool]) -> str:
    """`mount, resume, no referrers, chunks of 16.8 MB`."""
    words = []
    for name, value in sorted(found.items()):
        title = name.replace("_", " ")
        if value is True:
            words.append(title)
        elif value is False:
            words.append(f"no {title}")
        elif name.endswith("_bytes") or name == "least_chunk":
            words.append(f"{title.removesuffix(' bytes')} {decimal(int(value))}")
    return ", ".join(words)
