"""docs/alerts.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import flows
from mirror.config.alerting import SEVERITIES, AlertingSettings, AlertRule
from mirror.config.settings import Settings

PAGE = (Path(flows.__file__).parents[1] / "docs" / "alerts.md").read_text(encoding="utf-8")
MIRRORS = {
    "hagicode-aliyun": {
        "source": "docker.io/newbe36524/hagicode",
        "target": "registry.cn-hangzhou.aliyuncs.com/hagicode/hagicode",
    }
}


def test_the_page_lists_every_rule_with_its_severity() -> None:
    listed = re.findall(r"^\| `(\w+)` \|.*\| (\w+) \| [\w ]+ \|$", PAGE, re.MULTILINE)
    assert dict(listed) == {rule.value: SEVERITIES[rule].value for rule in AlertRule}


def test_every_yaml_of_the_page_is_understood_and_shows_the_defaults() -> None:
    whole = {"mirrors": MIRRORS}
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        whole |= yaml.safe_load(block)
    settings = Settings.model_validate(whole)
    assert len(settings.alerts) == 5
    shown = settings.alerting.model_copy(update={"quiet_hours": None, "rules": {}})
    assert shown == AlertingSettings()
