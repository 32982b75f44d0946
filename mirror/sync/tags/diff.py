"""The difference between a source, a target and the record, as a plan. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from mirror.outcome import Change, ChangeKind, Discovery, KnownTag, Plan, SourceTag
from mirror.sync.tags.lost_tags import GRACE
from mirror.sync.tags.tag_rules import TagRules, exact_of, specificity, subject_of


def diff(
    discovery: Discovery,
    known: Mapping[str, KnownTag],
    rules: TagRules,
    now: datetime,
    *,
    retry_now: bool = False,
    adopt: bool = True,
) -> Plan:
    """Compare and order. Exact releases come before the floating tags that share their digest.

    `retry_now` tries tags again that failed before and whose time has not come (by hand). Without
    `adopt`, what the target holds already is copied like any other: it must be signed.
    """
    changes: dict[str, Change] = {}
    held: list[Change] = []
    adopted: list[Change] = []
    deferred: dict[str, str] = {}
    failing: list[str] = []
    unchanged = 0
    for tag in _with_outstanding(discovery, known, rules):
        change = _change(tag, known.get(tag.name), discovery, rules, now)
        if change is None:
            unchanged += 1
        elif change.kind is ChangeKind.MOVED and rules.is_immutable(tag.name):
            held.append(change)
        elif not retry_now and _not_due(known.get(tag.name), tag.digest, now):
            deferred[tag.name] = tag.digest
            if change.attempt > 1:  # else it only waits, for its signature
                failing.append(tag.name)
        elif (
            adopt
            and _target_has(change, discovery)
            and not _is_suspect(known.get(tag.name))
            and change.attempt == 1  # what failed before may be there in part
        ):
            adopted.append(change)
        else:
            changes[tag.name] = change
    for name in _maybe_early(changes, discovery, known):
        deferred[name] = changes.pop(name).digest
    ordered, blocked = _ordered(changes, deferred)
    gone = _gone(discovery, known)
    return Plan(
        changes=ordered,
        unchanged=unchanged,
        gone=gone,
        deletions=_deletions(known, gone, rules, now),
        held=tuple(held),
        deferred=tuple(sorted({*deferred, *blocked})),
        failing=tuple(sorted(failing)),
        adopted=tuple(adopted),
    )


def _with_outstanding(
    discovery: Discovery, known: Mapping[str, KnownTag], rules: TagRules
) -> list[SourceTag]:
    """The tags found, and those the record still owes although this look did not reach them."""
    tags = list(discovery.tags)
    if not discovery.complete:
        seen = {tag.name for tag in tags} | {failure.tag for failure in discovery.failed}
        tags += [
            SourceTag(name, state.source_digest, state.pushed_at)
            for name, state in known.items()
            if name not in seen
            and (rules.admits(name) or subject_of(name))
            and state.gone_at is None
            and state.source_digest is not None
            and (state.copied_digest != state.source_digest or state.suspect is not None)
        ]
    return tags


def _change(
    tag: SourceTag,
    state: KnownTag | None,
    discovery: Discovery,
    rules: TagRules,
    now: datetime,
) -> Change | None:
    target_tag = rules.target_name(tag.name)
    observed = discovery.target.get(target_tag) if discovery.target is not None else None
    copied = state.copied_digest if state else None
    expected = state.target_digest if state else None
    suspect = state.suspect if state else None
    if copied == tag.digest:
        if discovery.target is not None and observed != expected:
            kind = ChangeKind.MISSING if observed is None else ChangeKind.DRIFTED
        elif suspect is not None:
            kind = suspect
        else:
            return None
    elif copied is None:
        kind = ChangeKind.NEW
    else:
        kind = ChangeKind.MOVED
    same = state is not None and state.source_digest == tag.digest
    # What was repaired is late since it was found out, not since it was pushed.
    repair = kind in (ChangeKind.MISSING, ChangeKind.DRIFTED, ChangeKind.REFERRERS)
    return Change(
        tag=tag.name,
        target_tag=target_tag,
        kind=kind,
        digest=tag.digest,
        pushed_at=None if repair else tag.pushed_at,
        detected_at=state.detected_at
        if state and state.detected_at and same and not repair
        else now,
        previous_digest=observed if discovery.target is not None else expected,
        attempt=(state.attempts if state and same else 0) + 1,
    )


def _is_suspect(state: KnownTag | None) -> bool:
    """True if an audit found that not all is there below the tag, whatever its digest."""
    return state is not None and state.suspect is not None


def _not_due(state: KnownTag | None, digest: str, now: datetime) -> bool:
    return (
        state is not None
        and state.source_digest == digest
        and state.next_attempt_at is not None
        and state.next_attempt_at > now
    )


def _target_has(change: Change, discovery: Discovery) -> bool:
    """True if the target was seen to hold the source's digest under the tag already."""
    return discovery.target is not None and discovery.target.get(change.target_tag) == change.digest


def _ordered(
    changes: Mapping[str, Change], deferred: Mapping[str, str]
) -> tuple[tuple[Change, ...], frozenset[str]]:
    """The changes, exact and newest first; and the floating ones whose exact one is deferred."""
    by_digest: dict[str, set[str]] = defaultdict(set)
    for change in changes.values():
        by_digest[change.digest].add(change.tag)
    for tag, digest in deferred.items():
        by_digest[digest].add(tag)
    exact = {digest: exact_of(tags) for digest, tags in by_digest.items()}
    blocked = frozenset(
        change.tag
        for change in changes.values()
        if _floats(change, exact) and exact[change.digest] & deferred.keys()
    )
    ordered = [
        replace(change, waits_for=tuple(sorted(exact[change.digest])))
        if _floats(change, exact)
        else change
        for change in changes.values()
        if change.tag not in blocked
    ]
    ordered.sort(key=_order)
    return tuple(ordered), blocked


def _maybe_early(
    changes: Mapping[str, Change], discovery: Discovery, known: Mapping[str, KnownTag]
) -> list[str]:
    """Floating tags whose exact release may be one that is new and could not be looked at.

    `latest` must not arrive before `1.2.3` only because the look at `1.2.3` failed. Where another
    tag is seen to name the digest exactly, nothing has to wait.
    """
    hidden = [
        failure.tag
        for failure in discovery.failed
        if failure.tag
        and specificity(failure.tag)
        and ((state := known.get(failure.tag)) is None or state.copied_digest is None)
    ]
    if not hidden:
        return []
    exact: dict[str, int] = defaultdict(int)
    for tag in discovery.tags:
        exact[tag.digest] = max(exact[tag.digest], specificity(tag.name))
    return [
        name
        for name, change in changes.items()
        if not subject_of(name)
        and exact[change.digest] <= specificity(name)
        and any(_may_be_exact_of(name, other) for other in hidden)
    ]


def _may_be_exact_of(floating: str, other: str) -> bool:
    """True if `other` could be the release that a floating name points at."""
    if specificity(other) <= specificity(floating):
        return False
    return not specificity(floating) or other.startswith((f"{floating}.", f"{floating}-"))


def _floats(change: Change, exact: Mapping[str, frozenset[str]]) -> bool:
    names = exact[change.digest]
    return bool(names) and change.tag not in names and not subject_of(change.tag)


def _order(change: Change) -> tuple[bool, float, int, str]:
    pushed = change.pushed_at.timestamp() if change.pushed_at else 0.0
    return bool(change.waits_for), -pushed, -specificity(change.tag), change.tag


def _gone(discovery: Discovery, known: Mapping[str, KnownTag]) -> tuple[str, ...]:
    """Recorded tags that the source no longer lists; unknowable from an incomplete list."""
    if not discovery.complete or discovery.suspicion is not None:
        return ()
    return tuple(sorted(name for name in known if name not in discovery.listed))


def _deletions(
    known: Mapping[str, KnownTag],
    gone: tuple[str, ...],
    rules: TagRules,
    now: datetime,
) -> tuple[Change, ...]:
    """Gone tags whose grace period is over, oldest first.

    How many may be lost within that time is judged when they are marked as gone (lost_tags).
    """
    if rules.delete_after is None:
        return ()
    due = sorted(
        (state.gone_at, name)
        for name in gone
        if (state := known[name]).gone_at is not None
        and state.target_digest is not None
        and state.gone_at + max(rules.delete_after, GRACE) <= now
    )
    return tuple(
        Change(
            tag=name,
            target_tag=rules.target_name(name),
            kind=ChangeKind.GONE,
            digest=known[name].source_digest or "",
            pushed_at=None,
            detected_at=gone_at,
            previous_digest=known[name].target_digest,
        )
        for gone_at, name in due
    )
