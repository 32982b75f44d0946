"""`limits`: for all mirrors, and for one in the keys that it has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mirror.config import Settings, load_settings
from mirror.config.shown import shown_settings
from mirror.errors import ConfigError
from mirror.registry import Limits

MIRRORS = """
limits: {tags: 10, run_time: 2h, least_rate: 8kbit/s}
mirrors:
  a: {source: a.test/x, target: b.test/x}
  b: {source: a.test/y, target: b.test/y, limits: {tags: 20, memory_mb: 100}}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "mirrors.yaml"
    file.write_text(text)
    return file


def test_without_limits_the_clients_have_their_own(tmp_path: Path) -> None:
    mirrors = "mirrors: {a: {source: a.test/x, target: b.test/x}}"
    settings = load_settings(written(tmp_path, mirrors))
    assert settings.limits_of(settings.mirror("a")).registry_limits() == Limits()


def test_a_mirror_s_limits_replace_the_keys_that_they_have(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, MIRRORS))
    a = settings.limits_of(settings.mirror("a")).registry_limits()
    b = settings.limits_of(settings.mirror("b")).registry_limits()
    assert a == Limits(tags=10, run_time=7200.0, least_rate=1000)
    assert b == Limits(tags=20, run_time=7200.0, least_rate=1000, memory=100_000_000)


def test_what_is_shown_means_the_same(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, MIRRORS))
    again = load_settings(written(tmp_path, yaml.safe_dump(shown_settings(settings))))
    for name in ("a", "b"):
        assert again.limits_of(again.mirror(name)) == settings.limits_of(settings.mirror(name))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("{tags: 0}", "limits.tags: must be a whole number of at least 1"),
        ("{tagz: 1}", "did you mean tags"),
        ("{run_time: 5}", "limits.run_time: 5 has no unit"),
        ("{least_rate: 0kB/s}", "above zero"),
    ],
)
def test_what_cannot_be_meant_is_one_line(tmp_path: Path, limits: str, message: str) -> None:
    mirrors = f"mirrors: {{a: {{source: a.test/x, target: b.test/x, limits: {limits}}}}}"
    with pytest.raises(ConfigError, match=message):
        load_settings(written(tmp_path, mirrors))


def test_settings_survive_a_dump_and_another_reading(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, MIRRORS))
    again = Settings.model_validate(settings.model_dump(exclude_unset=True))
    for name in ("a", "b"):
        assert again.limits_of(again.mirror(name)) == settings.limits_of(settings.mirror(name))


def test_a_rate_without_a_unit_is_refused(tmp_path: Path) -> None:
    bare = MIRRORS.replace("8kbit/s", "1000")
    with pytest.raises(ConfigError, match=r"limits\.least_rate"):
        load_settings(written(tmp_path, bare))
