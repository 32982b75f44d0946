"""Hosts for a bench: network namespaces on one bridge, whose links can be cut.

They are inside another namespace, so the machine's network stays as it is. Needs root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SERVER = "10.77.0.1"
"""Where the services listen: the bridge, which every host reaches."""
INSIDE = "--inside"


def enter_world(module: str) -> None:
    """Run this program again in new namespaces, unless it runs in them already."""
    if INSIDE not in sys.argv:
        for name in ("unshare", "ip"):
            if shutil.which(name) is None:
                sys.exit(f"{name} is not installed")
        again = [sys.executable, "-m", module, INSIDE, *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "--net", "--mount", *again])
    sys.argv.remove(INSIDE)
    # `ip netns` keeps its names there: they are this world's alone.
    Path("/run/netns").mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "bridge0", "type", "bridge")
    _run("ip", "address", "add", f"{SERVER}/24", "dev", "bridge0")
    _run("ip", "link", "set", "bridge0", "up")


@dataclass(frozen=True, slots=True)
class Host:
    """A host with an address; `start` gives its number, from 1."""

    number: int

    @property
    def name(self) -> str:
        """Of its namespace, and of the server end of its link."""
        return f"host{self.number}"

    @property
    def address(self) -> str:
        """Its address."""
        return f"10.77.0.{10 + self.number}"

    def connect(self) -> None:
        """Make it, and connect it."""
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.name, "type", "veth", "peer", "eth0", "netns", self.name)
        _run("ip", "link", "set", self.name, "master", "bridge0", "up")
        _run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", self.name, "link", "set", device, "up")

    def command(self, *command: str) -> list[str]:
        """A command as it runs on this host."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self) -> None:
        """Cut its link: packets are lost, and no connection is closed."""
        _run("ip", "link", "set", self.name, "down")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
