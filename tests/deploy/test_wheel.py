"""The wheel by itself: installed from its file into a fresh environment, far from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import flows

ROOT = Path(flows.__file__).parents[1]
UV = ROOT / "scripts" / "uv"
MIRRORS = """
mirrors:
  app: {source: source.example/team/app, target: target.example/copy/app}
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a folder to run its `mirror` in."""

    folder: Path

    @property
    def programs(self) -> Path:
        return self.folder / "venv" / "bin"

    def run(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `mirror` with nothing in its environment but where its files go."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, not waited for."""
        work = self.folder / "work"
        return subprocess.Popen(
            [self.programs / "mirror", *arguments],
            cwd=work,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(work),
                "TMPDIR": str(work),
                "MIRROR_DATA_DIR": str(self.folder / "data"),
                "COLUMNS": "200",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def uv(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run uv; what it says of a failure is the failure's message."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [str(UV), *map(str, arguments), "--quiet"]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, so that neither may lack a file."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder)
    assert list(folder.glob("*.tar.gz"))
    (built,) = folder.glob("*.whl")
    return built


def installed(wheel: Path, folder: Path, extra: str = "") -> Iterator[Installed]:
    """The wheel with the locked versions of what it needs."""
    (folder / "work").mkdir()
    (folder / "work" / "mirrors.yaml").write_text(MIRRORS)
    locked = folder / "locked.txt"
    export = ("--all-extras", "--no-dev", "--no-emit-project", "--no-hashes")
    uv("export", "--locked", *export, "--output-file", locked)
    uv("venv", "--python", sys.executable, folder / "venv", cwd=folder)
    uv(
        *("pip", "install", "--python", folder / "venv", "--constraint", locked),
        f"{wheel}{extra}",
        cwd=folder,
    )
    environment = Installed(folder)
    yield environment
    # Whatever used the database left it running for the next command.
    subprocess.run(
        [environment.programs / "python", "-c", "from mirror.history import stop; stop()"],
        env={"MIRROR_DATA_DIR": str(folder / "data")},
        cwd=folder,
        check=True,
    )


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel without extras."""
    yield from installed(wheel, tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def with_site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel with the extra `[site]`."""
    yield from installed(wheel, tmp_path_factory.mktemp("with-site"), "[site]")


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    tracked = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "flows",
            "mirror",
            "migrations",
            "site",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    places = {"migrations/": "mirror/migrations/", "site/": "mirror/website/site/"}
    wanted = {"mirror/website/site/CHANGELOG.md"}
    for path in tracked:
        here = next((folder for folder in places if path.startswith(folder)), "")
        wanted.add(places[here] + path.removeprefix(here) if here else path)
    held = set(zipfile.ZipFile(wheel).namelist())
    assert wanted - held == set()
    assert {name for name in held - wanted if ".dist-info/" not in name} == set()


def test_it_says_its_version(bare: Installed, wheel: Path) -> None:
    said = bare.run("--version").stdout
    assert said == f"mirror, version {wheel.name.split('-')[1]}\n"


def test_it_migrates_its_own_database(bare: Installed) -> None:
    done = bare.run("migrate")
    assert done.returncode == 0, done.stderr
    assert "migrated from empty, revision " in done.stdout
    assert bare.run("status").returncode == 0


def test_it_runs_the_demo(bare: Installed) -> None:
    done = bare.run("demo", seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed" in done.stdout


def test_without_the_extra_publish_names_the_command_that_installs_it(bare: Installed) -> None:
    done = bare.run("publish", "public")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'hagicode-mirror[site]'" in done.stderr
    assert not (bare.folder / "work" / "public").exists()


def test_without_the_extra_up_runs_everything_but_the_site(bare: Installed) -> None:
    process = bare.start("up", "--ui-port", "0", "--site-port", "0")
    said = ""
    try:
        assert process.stdout is not None
        while "Ctrl-C" not in said and (line := process.stdout.readline()):
            said += line
        prefect = re.search(r"^Prefect +(http://\S+)", said, re.M)
        assert prefect, process.communicate(timeout=60)
        user, _, password = (bare.folder / "data" / "prefect-login").read_text().partition(":")
        answer = httpx.get(
            f"{prefect[1]}/api/csrf-token?client=test",
            auth=(user, password.strip()),
            trust_env=False,
        )
        answer = httpx.post(
            f"{prefect[1]}/api/deployments/filter",
            json={},
            auth=(user, password.strip()),
            headers={
                "Prefect-Csrf-Token": answer.json()["token"],
                "Prefect-Csrf-Client": "test",
            },
            trust_env=False,
        )
        scheduled = {each["entrypoint"] for each in answer.json()}
    finally:
        process.terminate()
        rest, err = process.communicate(timeout=60)
    assert said.startswith("no site and no /metrics here: pip install 'hagicode-mirror[site]'")
    assert "flows.sync.sync" in scheduled
    assert "flows.publish.publish" not in scheduled
    assert (process.returncode, rest.splitlines()[-1], err) == (0, "stopped", "")


def test_with_the_extra_it_publishes_the_site(with_site: Installed) -> None:
    done = with_site.run("publish", "public")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("public: 1 mirror, 0 tags, ")
    public = with_site.folder / "work" / "public"
    assert "HagiCode" in (public / "en" / "index.html").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest
    assert newest[1] in (public / "en" / "changelog" / "index.html").read_text(encoding="utf-8")
    assert (public / "metrics.txt").read_text().endswith("# EOF\n")
