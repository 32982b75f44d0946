"""What a list of an entry's repositories means; nothing is given up on the word of one list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.local.sample_registry.images import single
from mirror.config import EntrySettings, Settings, load_settings
from mirror.errors import ConfigError
from mirror.registry import RegistryError
from mirror.sync import KnownRepository, look_at_repositories
from mirror.sync.tags.repositories import judge
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = tuple(f"app-{number:02}" for number in range(20))
ENTRY = EntrySettings(name="all", source="r.example.com/team/*", target="t.example.com/x/*")


def known(**missing: timedelta) -> dict[str, KnownRepository]:
    return {
        name: KnownRepository(
            name, NOW - missing[key] if (key := name.replace("-", "_")) in missing else None
        )
        for name in NAMES
    }


def without(*names: str) -> dict[str, None]:
    return {name: None for name in NAMES if name not in names}


def test_a_repository_is_given_up_when_lists_a_day_apart_lacked_it() -> None:
    first = judge(ENTRY, without("app-03"), known(), NOW)
    assert (first.kept, first.missing, first.gone) == (("app-03",), ("app-03",), ())
    hours = judge(ENTRY, without("app-03"), known(app_03=timedelta(hours=23)), NOW)
    assert (hours.kept, hours.gone) == (("app-03",), ())
    day = judge(ENTRY, without("app-03"), known(app_03=timedelta(days=1)), NOW)
    assert (day.kept, day.gone) == ((), ("app-03",))
    assert "app-03" not in day.mirrored


@pytest.mark.parametrize("lost", [3, 19, 20])
def test_a_list_that_lost_many_repositories_marks_nothing(lost: int) -> None:
    ages = {name.replace("-", "_"): timedelta(days=3) for name in NAMES[:lost]}
    look = judge(ENTRY, without(*NAMES[:lost]), known(**ages), NOW)
    assert (look.missing, look.gone, look.mirrored) == ((), (), NAMES)
    assert look.warnings == (
        f"r.example.com/team/* no longer lists {lost} of 20 known repositories"
        f" (app-00, app-01, app-02{', …' if lost > 3 else ''}): suspicious, so all are still"
        " mirrored; if they were deleted on purpose, run: mirror sync all --accept-loss",
    )


def test_a_person_accepts_a_loss() -> None:
    look = judge(ENTRY, without(*NAMES[:12]), known(), NOW, accept_loss=True)
    assert (look.gone, look.mirrored) == (NAMES[:12], NAMES[12:])


def test_what_was_given_up_and_is_listed_again_is_mirrored_again() -> None:
    back = known() | {"app-03": KnownRepository("app-03", NOW, NOW)}
    assert "app-03" in judge(ENTRY, without(), back, NOW).mirrored


def test_a_source_without_a_fitting_repository_is_worth_a_warning() -> None:
    look = judge(ENTRY, {}, {}, NOW)
    assert look.warnings == ("r.example.com/team/* lists no repository that mirrors.all admits",)


def settings_for(tmp_path: Path, source: str, hub: str, extra: str = "") -> Settings:
    path = tmp_path / "mirrors.yaml"
    path.write_text(
        f"registries: {{'{source}': {{insecure: true{hub}}}}}\n"
        f"mirrors:\n  all: {{source: '{source}/team/*', target: 't.example.com/x/*'{extra}}}\n"
    )
    return load_settings(path)


async def test_by_the_web_api_else_by_the_catalog(
    fake_registry: FakeRegistry, tmp_path: Path
) -> None:
    for name in ("team/a", "team/b", "other/c"):
        await push(fake_registry.url, name, ["1"], single("entries"))
    async with FakeHub(fake_registry.store) as hub:
        settings = settings_for(tmp_path, fake_registry.host, f", hub_api: '{hub.url}'")
        entry = settings.entries["all"]
        look = await look_at_repositories(settings, entry, {}, NOW)
        assert set(look.listed) == {"a", "b"}
        assert None not in look.listed.values()
        hub.faults.add(Rule("/v2/namespaces/", Respond(403), times=None))
        plain = await look_at_repositories(settings, entry, {}, NOW)
        assert dict(plain.listed) == {"a": None, "b": None}
        assert len(plain.warnings) == 1
        assert "the registry's own list is used" in plain.warnings[0]
    fake_registry.faults.add(Rule("/v2/_catalog", Respond(403), times=None))
    with pytest.raises(RegistryError):
        await look_at_repositories(
            plain_settings := settings_for(tmp_path, fake_registry.host, ""),
            plain_settings.entries["all"],
            {},
            NOW,
        )


async def test_by_a_file_without_asking_the_source(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("# ours\na\n\nb  # the second\nnot a name\na\n")
    settings = settings_for(
        tmp_path, "r.example.com", "", ", repositories: {file: names.txt, exclude: c}"
    )
    look = await look_at_repositories(
        settings, settings.entries["all"], {"z": KnownRepository("z")}, NOW
    )
    assert (look.mirrored, look.gone) == (("a", "b"), ("z",))
    (tmp_path / "names.txt").unlink()
    with pytest.raises(ConfigError, match=r"mirrors\.all\.repositories\.file: .*cannot be read"):
        await look_at_repositories(settings, settings.entries["all"], {}, NOW)
