"""The server of Prefect that a command starts for itself where PREFECT_API_URL is unset.

Prefect starts its own application in a process that gets the whole environment, credentials of
registries included. Here it is ours, `flows.local.prefect_server`: with what it needs of the
environment, a login, a gate for foreign pages, and turns for those who change its SQLite database.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from mirror.environment import BASIC

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

SERVER: Final = (sys.executable, "-P", "-m", "flows.local.prefect_server")
"""-P: a folder `flows` in the folder of the user is not this package."""

_EPHEMERAL: Final = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


def inherited_by_prefect(name: str) -> bool:
    """Whether Prefect's server gets this variable of the environment."""
    return name in BASIC or name.startswith("PREFECT_")


def use_own_server() -> None:
    """Have Prefect start our server where it starts a temporary one. It needs a login, SERVER_ENV.

    Imports Prefect's server, as a client without PREFECT_API_URL does anyway.
    """
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer._run_uvicorn_command = _start  # type: ignore[method-assign,assignment]


class _Held(subprocess.Popen[bytes]):
    """A process that ends with this one: its standard input is open as long as both live."""

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's; Prefect, which waits when it stops the server, closes no pipe."""
        code = super().wait(timeout)
        if self.stdin is not None:
            self.stdin.close()
        return code


def _start(server: SubprocessASGIServer) -> subprocess.Popen[Any]:
    from prefect.settings import get_current_settings

    inherited = {name: os.environ[name] for name in os.environ if inherited_by_prefect(name)}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return _Held(
        [*SERVER, "--port", str(server.port), "--until-stdin-closes"],
        stdin=subprocess.PIPE,  # closed by whatever ends this process
        env={**inherited, **_EPHEMERAL, **settings},
    )
