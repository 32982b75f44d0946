"""What a sync would make of a source's tag list: by the tag policies, and against what it knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mirror.checks.preflight import CheckLevel, PreflightCheck
from mirror.config import MirrorSettings
from mirror.outcome import KnownTag, utcnow
from mirror.sync import find_lost_tags, tag_rules_of


def check_policies(
    mirrors: Iterable[MirrorSettings],
    listed: Collection[str],
    known: Mapping[str, Mapping[str, KnownTag]],
) -> list[PreflightCheck]:
    """A check for each mirror whose sync would find nothing to do, or the list suspicious.

    `known`: the recorded tags by mirror; none for a mirror that was never synced.
    """
    checks = []
    for mirror in mirrors:
        rules, recorded = tag_rules_of(mirror), known.get(mirror.name, {})
        lost = find_lost_tags(listed, recorded, rules, utcnow())
        if lost.suspicious:
            message = lost.describe(mirror.source, mirror.name)
            checks.append(PreflightCheck("pull", CheckLevel.FAILURE, message))
        elif listed and not any(rules.admits(name) for name in listed):
            include = ", ".join(rules.include)
            message = (
                f"mirrors.{mirror.name}.tags: none of the {len(listed)} tags of {mirror.source} is"
                f" admitted (include: {include})"
            )
            checks.append(PreflightCheck("pull", CheckLevel.WARNING, message))
    return checks
