"""What one run of a mirror may take of what registries answer (`limits`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from mirror.config.base import ConfigModel
from mirror.registry import Limits
from mirror.units import Duration, Rate

Count = Annotated[int, Field(ge=1)]
_DEFAULT = Limits()
_MB = 1_000_000


class LimitSettings(ConfigModel):
    """Budgets of a run; a breach is an error that names the key."""

    run_time: Duration = timedelta(seconds=_DEFAULT.run_time)
    list_time: Duration = timedelta(seconds=_DEFAULT.list_time)
    layer_time: Duration = timedelta(seconds=_DEFAULT.layer_time)
    least_rate: Rate = Field("1kB/s", validate_default=True)
    requests: Count = _DEFAULT.requests
    pages: Count = _DEFAULT.pages
    list_pages: Count = _DEFAULT.list_pages
    tags: Count = _DEFAULT.tags
    repositories: Count = _DEFAULT.repositories
    descriptors: Count = _DEFAULT.descriptors
    tag_descriptors: Count = _DEFAULT.tag_descriptors
    referrers: Count = _DEFAULT.referrers
    manifest_referrers: Count = _DEFAULT.manifest_referrers
    memory_mb: Count = _DEFAULT.memory // _MB

    def over(self, others: LimitSettings | None) -> LimitSettings:
        """These where they are written, else the others."""
        if others is None:
            return self
        written = {key: getattr(self, key) for key in self.model_fields_set}
        return others.model_copy(update=written)

    def registry_limits(self) -> Limits:
        """As the registry clients take them."""
        values = self.model_dump(exclude={"memory_mb"})
        rest: dict[str, Any] = {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name, value in values.items()
        }
        return Limits(memory=self.memory_mb * _MB, **rest)
