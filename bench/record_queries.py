"""The ready queries of docs/reports.md."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "reports.md"
_QUERY = re.compile(r"^### ([^\n]+\?)\n\n```sql\n(.+?)```", re.MULTILINE | re.DOTALL)


def ready_queries() -> dict[str, str]:
    """SQL by the question that it answers, its title in the docs."""
    return dict(_QUERY.findall(DOCS.read_text(encoding="utf-8")))
