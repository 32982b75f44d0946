"""What our code starts gets no more of the environment than is written: it holds credentials."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import modules

STARTS = {
    *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call"),
    *("subprocess.check_output", "subprocess.getoutput", "os.system", "os.popen"),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
    *("os.execv", "os.execve", "os.execl", "os.execvp", "os.posix_spawn", "os.spawnv"),
    *("anyio.run_process", "anyio.open_process", "_Held"),
}
GIVEN = {"os.execve"}  # whose environment is a positional argument


def _starts(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Each call that starts a program, and whether it says what environment the program gets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in STARTS:
            yield name, name in GIVEN or any(word.arg == "env" for word in node.keywords)


def test_every_program_is_started_with_an_environment_that_is_written_down() -> None:
    started = [
        (f"{module.name}: {name}", said)
        for module in modules()
        for name, said in _starts(module.tree)
    ]
    assert len(started) > 8, started
    assert [place for place, said in started if not said] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("subprocess.run(['psql', '--version'], check=False)", False),
        ("subprocess.run(['psql', '--version'], env=least())", True),
        ("await asyncio.create_subprocess_exec('psql')", False),
        ("os.execve(program, arguments, environment)", True),
    ],
)
def test_the_rule_sees_what_is_inherited(code: str, said: bool) -> None:
    assert [found for _, found in _starts(ast.parse(f"async def f():\n    {code}"))] == [said]
