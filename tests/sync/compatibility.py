"""The table of image kinds and registries: the outcome of each kind at each, as reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mirror.outcome import DropReason, Reason

HEADER = """\
# Compatibility

What becomes of every kind of image at every kind of registry. The tests write this table
(`tests/sync/test_compatibility.py`): each cell is a whole sync, read back at the target with
every manifest and blob hashed. distribution 2.8 is Debian's docker-registry; the others are
imitations, each of whose quirks cites a documented fact (`tests/support/fake_registry/quirks.py`).

- **identical**: tag, digests and all bytes are the source's.
- **filtered**: the target refuses a part; it was left out, the index rebuilt without it, and both
  digests are recorded. The parts and reasons are in `tag_sync.dropped`.
- **refused**: the target, or the protocol, does not take it; the tag fails with this reason, and
  the others are synced.

"""

FOOTER = """\
Not in the table, and the same everywhere:

- Layers that must not be distributed stay named by their manifest and are never fetched; they are
  recorded (`non_distributable`).
- `platforms:` leaves out the other children of an index, with their attestations. A tag of a
  single image has no list to choose from and is mirrored whatever its platform. A tag that has
  none of the platforms fails with `not_found` and says so.
- `attestations: drop` leaves out BuildKit's attestations of every form.
- A signature of an index that had to be rebuilt names the source's digest: it travels, and fits
  the source's digest, which the history keeps next to the target's.
"""


class Verdict(StrEnum):
    """What became of a kind of image at a registry."""

    IDENTICAL = "identical"
    FILTERED = "filtered"
    REFUSED = "refused"


@dataclass(frozen=True)
class Cell:
    """One kind at one registry. `digests`: source digest to target digest where they differ."""

    verdict: Verdict
    reason: Reason | None = None
    dropped: frozenset[DropReason] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.verdict is Verdict.REFUSED:
            return f"refused ({self.reason})"
        if self.verdict is Verdict.FILTERED:
            return f"filtered ({', '.join(sorted(self.dropped))})"
        return "identical"


Table = Mapping[str, Mapping[str, Cell]]
"""Cells by kind of image, then by registry."""


def markdown(table: Table, registries: Sequence[str]) -> str:
    """The document: the table, then the digest maps of what was filtered."""
    lines = ["| image | " + " | ".join(registries) + " |", "|---|" + "---|" * len(registries)]
    lines += [
        f"| {kind} | " + " | ".join(str(cells[name]) for name in registries) + " |"
        for kind, cells in table.items()
    ]
    lines += ["", "## Digests of what was filtered", ""]
    lines += [
        "| image | registry | digest at the source | digest at the target |",
        "|---|---|---|---|",
    ]
    for kind, cells in table.items():
        for name in registries:
            for source, target in cells[name].digests.items():
                lines.append(f"| {kind} | {name} | `{_short(source)}` | `{_short(target)}` |")
    return HEADER + "\n".join(lines) + "\n\n" + FOOTER


def _short(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm}:{encoded[:16]}…"
