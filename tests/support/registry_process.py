"""Debian's docker-registry (distribution 2.8) as a process on a free port."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme
import yaml

USERNAME = "mirror"
PASSWORD = "correct horse"
# bcrypt of PASSWORD: distribution takes no other hash, and the standard library makes none.
_HTPASSWD = f"{USERNAME}:$2b$04$IvI491RicIVIIbluWmGGWOfSLf02mIBgMXm/XrHCYmnJpqSo1TwhO\n"
_START_SECONDS = 15.0
_NAME_HEADER = "X-Started-For"


def program(name: str, package: str) -> str:
    """The path of a program that Debian's `package` brings; the test fails where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: run `make test`, or apt-get install {package}")
    return found


@dataclass
class DockerRegistry:
    """A running docker-registry: where it listens, where it stores, how to log in."""

    folder: Path
    port: int
    auth: tuple[str, str] | None = None
    ca_file: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    @property
    def storage(self) -> Path:
        """The folder of its storage driver: blobs and repositories as files."""
        return self.folder / "storage" / "docker" / "registry" / "v2"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start the process and wait until it answers; RuntimeError with its log otherwise."""
        command = [program("docker-registry", "docker-registry"), "serve", "config.yml"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        trusted = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else False
        with httpx.Client(verify=trusted, trust_env=False) as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                if self._answers(client):
                    return
                time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"docker-registry did not start on {self.host}:\n{self.log}")

    def _answers(self, client: httpx.Client) -> bool:
        """True once this very process answers: another may have taken the port before it did."""
        with suppress(httpx.TransportError):
            answer = client.get(f"{self.url}/v2/", timeout=0.5)
            return bool(answer.headers.get(_NAME_HEADER) == str(self.folder))
        return False

    def stop(self) -> None:
        """End the process; `start` brings it back with what it stored."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None


@contextmanager
def docker_registry_process(
    folder: Path,
    *,
    auth: bool = False,
    tls: bool = False,
    delete: bool = True,
    proxied: str | None = None,
) -> Iterator[DockerRegistry]:
    """A docker-registry that stores under `folder` and ends with the block.

    `auth`: Basic with USERNAME and PASSWORD. `tls`: https with its own authority, whose
    certificate is `ca_file`. `proxied`: a pull-through cache of that address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = DockerRegistry(folder, free_port(), (USERNAME, PASSWORD) if auth else None)
    http: dict[str, object] = {
        "addr": registry.host,
        "secret": "demo",
        "headers": {_NAME_HEADER: [str(folder)]},
    }
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": delete},
        },
        "http": http,
        # Without this, manifests with foreign layers are refused for their urls.
        "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
    }
    if auth:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "docker-registry", "path": "htpasswd"}}
    if proxied is not None:
        config["proxy"] = {"remoteurl": proxied}
    if tls:
        registry.ca_file = folder / "ca.pem"
        http["tls"] = _certificates(folder)
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


def free_port() -> int:
    """A port of the loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificates(folder: Path) -> dict[str, str]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(folder / "cert.pem"), append=number > 0)
    return {"certificate": "cert.pem", "key": "key.pem"}
