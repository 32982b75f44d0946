"""The section `hooks:` of mirrors.yaml: services that report pushes."""

from __future__ import annotations

from mirror.config.base import ConfigModel, EnvName


class HookSettings(ConfigModel):
    """Where the secret is that senders know. It holds no secret, only the name of a variable."""

    secret_env: EnvName
