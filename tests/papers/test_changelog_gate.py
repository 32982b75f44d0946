"""scripts/changelog-gate: a change that users notice needs a line in CHANGELOG.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.papers.repository import Repository

PYPROJECT = '[project]\nname = "sample"\ndependencies = ["httpx"]\n[tool.ruff]\nline-length = 100\n'


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(
        tmp_path / "repository",
        {
            "CHANGELOG.md": "# Changelog\n\n## Unreleased\n",
            "pyproject.toml": PYPROJECT,
            "flows/sync.py": "",
            "docs/site.md": "",
        },
    )


def refusal(repository: Repository) -> str:
    """What the gate prints; empty if the change may pass."""
    gate = repository.run("scripts/changelog-gate", "base")
    assert gate.returncode == (1 if gate.stderr else 0), gate.stderr
    return gate.stderr


@pytest.mark.parametrize(
    "path",
    [
        "flows/sync.py",
        "mirror/sync/copying/copy.py",
        "site/pages/en/faq.md",
        "migrations/versions/one.py",
        "prefect.yaml",
        "docker-compose.yml",
        "Dockerfile",
    ],
)
def test_a_change_of_the_product_needs_a_line(repository: Repository, path: str) -> None:
    repository.commit("Change the product", {path: "changed\n"})
    printed = refusal(repository)
    assert printed.count("\n") == 1
    assert "(Change the product) changes the product" in printed
    assert "CHANGELOG.md under Unreleased" in printed
    assert '"Changelog: none"' in printed


def test_a_line_in_any_commit_of_the_change_is_enough(repository: Repository) -> None:
    repository.commit("Change the product", {"flows/sync.py": "changed\n"})
    repository.commit("Describe it", {"CHANGELOG.md": "# Changelog\n\n## Unreleased\n- More.\n"})
    assert refusal(repository) == ""


def test_a_line_that_is_only_removed_is_not_enough(repository: Repository) -> None:
    repository.commit(
        "Change the product", {"flows/sync.py": "changed\n", "CHANGELOG.md": "# Changelog\n"}
    )
    assert "changes the product" in refusal(repository)


@pytest.mark.parametrize("path", ["docs/site.md", "tests/test_sync.py", "README.md", "uv.lock"])
def test_papers_tests_and_the_lock_file_need_none(repository: Repository, path: str) -> None:
    repository.commit("Change something else", {path: "changed\n"})
    assert refusal(repository) == ""


def test_a_new_dependency_needs_a_line(repository: Repository) -> None:
    changed = PYPROJECT.replace('["httpx"]', '["httpx", "rich"]')
    repository.commit("Depend on rich", {"pyproject.toml": changed})
    assert "(Depend on rich) changes the product" in refusal(repository)


def test_other_settings_of_pyproject_need_none(repository: Repository) -> None:
    repository.commit("Longer lines", {"pyproject.toml": PYPROJECT.replace("100", "120")})
    assert refusal(repository) == ""


@pytest.mark.parametrize("value", ["none", "None"])
def test_a_commit_is_exempt_by_its_trailer(repository: Repository, value: str) -> None:
    repository.commit(f"Rename\n\nChangelog: {value}", {"flows/sync.py": "renamed\n"})
    assert refusal(repository) == ""


def test_the_words_of_the_trailer_in_running_text_exempt_nothing(repository: Repository) -> None:
    message = "Rename\n\nIt needs no line.\nChangelog: none\n\nAnd that is why."
    repository.commit(message, {"flows/sync.py": "renamed\n"})
    assert "(Rename) changes the product" in refusal(repository)


def test_an_exempt_commit_does_not_exempt_the_next_one(repository: Repository) -> None:
    repository.commit("Rename\n\nChangelog: none", {"flows/sync.py": "renamed\n"})
    repository.commit("Copy faster", {"flows/watch.py": "faster\n"})
    assert "(Copy faster) changes the product" in refusal(repository)


def test_what_was_reverted_needs_no_line(repository: Repository) -> None:
    repository.commit("Try", {"flows/sync.py": "tried\n"})
    repository.commit("Revert", {"flows/sync.py": ""})
    assert refusal(repository) == ""


def diverge(repository: Repository, message: str, files: dict[str, str]) -> None:
    """Start the branch `topic`, then commit to the base, which moves on."""
    repository.run("git", "branch", "topic")
    repository.commit(message, files)
    repository.run("git", "tag", "--force", "base")
    repository.run("git", "switch", "--quiet", "topic")


def test_a_line_that_only_the_base_dropped_is_not_one_of_the_change(
    repository: Repository,
) -> None:
    diverge(repository, "Reword", {"CHANGELOG.md": "# Changelog\n\n## Next\n"})
    repository.commit("Copy faster", {"flows/sync.py": "faster\n"})
    assert "(Copy faster) changes the product" in refusal(repository)


def test_what_a_merge_of_the_base_brings_needs_no_line(repository: Repository) -> None:
    diverge(repository, "Change the product", {"flows/watch.py": "changed\n"})
    repository.commit("Rename\n\nChangelog: none", {"flows/sync.py": "renamed\n"})
    merged = repository.run("git", "merge", "--quiet", "--message=Merge", "base")
    assert merged.returncode == 0, merged.stderr
    assert refusal(repository) == ""
