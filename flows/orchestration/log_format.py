"""The log of this process and of those that it starts, as MIRROR_LOG says; Prefect's too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mirror.logs import check_log_settings, logs_json, start_json_logs

SETTINGS: Final = "PREFECT_LOGGING_SETTINGS_PATH"


def follow_log_settings(*, strict: bool = True) -> None:
    """Write logs as JSON where MIRROR_LOG asks for it. Call before importing prefect.

    Raises ConfigError for a value without meaning; not `strict`: such a value changes nothing.
    """
    if strict:
        check_log_settings()
    if logs_json():
        os.environ.setdefault(SETTINGS, str(Path(__file__).with_name("logging.yml")))
        start_json_logs()
