"""A real root file system as a layer: Debian packages unpacked into one tar.

Symbolic and hard links, set-uid bits, empty files and names outside of ASCII are all in there, as
no made-up layer has them. It is built once and kept under ~/.cache.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Content
from tests.support.registry_process import program

PACKAGES = (
    *("base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "debianutils"),
    *("findutils", "grep", "gzip", "libacl1", "libattr1", "libc-bin", "libc6", "libpcre2-8-0"),
    *("libselinux1", "libtinfo6", "login", "mount", "perl-base", "sed", "tar", "tzdata"),
)
_DOWNLOADED = Path("/var/cache/apt/archives")


def root_filesystem_layer() -> Content:
    """The layer, gzipped; from the cache where it has been built before.

    The test fails with a clear line when the packages can neither be downloaded nor be found
    among those that apt has downloaded.
    """
    cached = _cache() / "root-filesystem.tar.gz"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:
            built = Path(scratch) / "layer"
            _build(_packages(Path(scratch)), built)
            built.replace(cached)
    return Content.of(cached.read_bytes(), mediatypes.OCI_LAYER)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hagicode-mirror"


def _packages(folder: Path) -> list[Path]:
    download = subprocess.run(
        [program("apt-get", "apt"), "download", "-q", *PACKAGES],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = sorted(folder.glob("*.deb"))
    if download.returncode != 0 or not found:
        found = sorted(
            path for path in _DOWNLOADED.glob("*.deb") if path.stat().st_size < 3_000_000
        )
    if not found:
        pytest.fail(
            "no Debian packages for a root file system: run the tests once with a network "
            f"(apt-get download said: {download.stderr.strip()})"
        )
    return [package for package in found if package.stat().st_size < 4_000_000][:40]


def _build(packages: list[Path], target: Path) -> None:
    seen: set[str] = set()
    with (
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as layer,
    ):
        for package in packages:
            _add(package, layer, seen)


def _add(package: Path, layer: tarfile.TarFile, seen: set[str]) -> None:
    command = [program("dpkg-deb", "dpkg"), "--fsys-tarfile", str(package)]
    with tempfile.TemporaryFile() as unpacked:
        subprocess.run(command, stdout=unpacked, check=True)
        unpacked.seek(0)
        with tarfile.open(fileobj=unpacked) as files:
            for entry in files:
                if entry.name not in seen:
                    seen.add(entry.name)
                    layer.addfile(entry, files.extractfile(entry) if entry.isreg() else None)
