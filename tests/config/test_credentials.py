"""Where a credential comes from, which one goes first, and how a missing one is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from mirror.config.credentials import Credentials, anonymous, endpoint
from mirror.config.settings import Settings
from mirror.errors import ConfigError
from mirror.registry import Credential
from tests.support.users import User

HOST = "registry.example.com"
SECRET = "s3cret-value"


def settings(registries: Mapping[str, object], path: Path = Path("mirrors.yaml")) -> Settings:
    mirrors = {"one": {"name": "one", "source": "docker.io/a/b", "target": f"{HOST}/team/app"}}
    return Settings.model_validate({"path": path, "registries": registries, "mirrors": mirrors})


def credential(
    registries: Mapping[str, object] | None = None,
    repository: str = "team/app",
    host: str = HOST,
) -> Credential | None:
    return endpoint(settings(registries or {}), host).credential(repository)


def basic(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


BY_VARIABLES = {"username_env": "ACR_USER", "password_env": "ACR_PASSWORD"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACR_USER", "robot")
    monkeypatch.setenv("ACR_PASSWORD", SECRET)


def test_nobody_logged_in_means_anonymous(user: User) -> None:
    assert credential() is None


@pytest.mark.usefixtures("user", "variables")
def test_variables_named_in_mirrors_yaml_give_the_credential() -> None:
    found = credential({HOST: BY_VARIABLES})
    assert found == Credential("robot", SECRET, "ACR_PASSWORD from the environment")


@pytest.mark.usefixtures("user", "variables")
def test_a_user_name_may_be_in_mirrors_yaml_itself() -> None:
    found = credential({HOST: {"username": "me", "password_env": "ACR_PASSWORD"}})
    assert found is not None
    assert (found.username, found.password) == ("me", SECRET)


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(("value", "said"), [(None, "not set"), ("", "empty")])
def test_an_unset_variable_is_named_with_registry_and_key(
    value: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACR_USER", "robot")
    monkeypatch.delenv("ACR_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("ACR_PASSWORD", value)
    with pytest.raises(ConfigError) as caught:
        credential({HOST: BY_VARIABLES})
    message = str(caught.value)
    assert f"registries.{HOST}.password_env" in message
    assert "ACR_PASSWORD" in message
    assert said in message


@pytest.mark.usefixtures("user", "variables")
def test_an_endpoint_can_be_made_before_its_variables_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACR_PASSWORD")
    reached = endpoint(settings({HOST: BY_VARIABLES}), HOST)
    monkeypatch.setenv("ACR_PASSWORD", SECRET)
    found = reached.credential("team/app")
    assert found is not None
    assert found.password == SECRET


@pytest.mark.usefixtures("user", "variables")
def test_an_entry_for_the_repository_goes_before_the_entry_for_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEAM_PASSWORD", "other")
    registries = {
        HOST: BY_VARIABLES,
        f"{HOST}/team/app": {"username": "team", "password_env": "TEAM_PASSWORD"},
    }
    own, others = credential(registries), credential(registries, "team/else")
    assert own is not None
    assert others is not None
    assert (own.username, own.origin) == ("team", "TEAM_PASSWORD from the environment")
    assert others.username == "robot"


@pytest.mark.usefixtures("variables")
def test_mirrors_yaml_goes_before_dockers_config(user: User) -> None:
    user.docker_config({"auths": {HOST: basic("docker", "x")}})
    found = credential({HOST: BY_VARIABLES})
    assert found is not None
    assert found.username == "robot"


def test_an_entry_without_a_credential_leaves_it_to_dockers_config(user: User) -> None:
    user.docker_config({"auths": {HOST: basic("docker", SECRET)}})
    found = credential({HOST: {"insecure": True}})
    assert found == Credential("docker", SECRET, "~/.docker/config.json")


def test_docker_config_names_another_folder(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = user.home.parent / "elsewhere"
    user.docker_config({"auths": {HOST: basic("wrong", "x")}})
    user.auth_file(elsewhere / "config.json", {"auths": {HOST: basic("right", SECRET)}})
    monkeypatch.setenv("DOCKER_CONFIG", str(elsewhere))
    found = credential()
    assert found is not None
    assert (found.username, found.origin) == ("right", f"{elsewhere}/config.json")


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"{HOST}/v2/"])
def test_every_form_of_key_that_docker_has_written_is_understood(user: User, key: str) -> None:
    user.docker_config({"auths": {key: basic("docker", SECRET)}})
    found = credential()
    assert found is not None
    assert found.password == SECRET


def test_docker_hubs_login_is_kept_under_its_old_address(user: User) -> None:
    user.docker_config({"auths": {"https://index.docker.io/v1/": basic("hub", SECRET)}})
    found = credential(host="docker.io", repository="library/alpine")
    assert found is not None
    assert found.username == "hub"


def test_a_password_may_hold_colons_and_other_languages(user: User) -> None:
    user.docker_config({"auths": {HOST: basic("docker", "a:b:密码")}})
    found = credential()
    assert found is not None
    assert found.password == "a:b:密码"


def test_an_identity_token_is_distinguished_from_a_password(user: User) -> None:
    login = {**basic("00000000-0000-0000-0000-000000000000", ""), "identitytoken": SECRET}
    user.docker_config({"auths": {HOST: login}})
    found = credential()
    assert found is not None
    assert found.identity_token == SECRET


def test_podmans_file_may_hold_a_login_for_one_repository(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = user.auth_file(
        user.home.parent / "auth.json",
        {
            "auths": {
                HOST: basic("all", "x"),
                f"{HOST}/team": basic("team", "x"),
                f"{HOST}/team/app": basic("app", SECRET),
            }
        },
    )
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    user.docker_config({"auths": {HOST: basic("docker", "x")}})
    names = {
        repository: found.username if (found := credential(repository=repository)) else None
        for repository in ("team/app", "team/other", "elsewhere", "teams/app")
    }
    assert names == {
        "team/app": "app",
        "team/other": "team",
        "elsewhere": "all",
        "teams/app": "all",
    }


def test_podmans_runtime_file_is_read_after_dockers(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = user.home.parent / "run"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    user.auth_file(runtime / "containers/auth.json", {"auths": {HOST: basic("podman", SECRET)}})
    found = credential()
    assert found is not None
    assert found.username == "podman"


GIVES = f"""printf '{{"ServerURL":"%s","Username":"helped","Secret":"{SECRET}"}}' "$server" """


def test_a_helper_named_for_the_registry_is_asked(user: User) -> None:
    user.docker_config({"credHelpers": {HOST: "fake"}, "auths": {HOST: basic("inline", "x")}})
    user.helper("fake", f'[ "$1" = get ] && [ "$server" = {HOST} ] || exit 7\n{GIVES}')
    found = credential()
    assert found == Credential("helped", SECRET, "credential helper docker-credential-fake")


def test_the_store_is_asked_for_docker_hub_by_its_old_address(user: User) -> None:
    user.docker_config({"credsStore": "store", "auths": {"https://index.docker.io/v1/": {}}})
    user.helper("store", f'[ "$server" = https://index.docker.io/v1/ ] || exit 7\n{GIVES}')
    found = credential(host="docker.io", repository="a/b")
    assert found is not None
    assert found.origin == "credential helper docker-credential-store"


def test_a_helper_may_hold_an_identity_token(user: User) -> None:
    user.docker_config({"credsStore": "store"})
    user.helper("store", f"""printf '{{"Username":"<token>","Secret":"{SECRET}"}}'""")
    found = credential()
    assert found is not None
    assert found.identity_token == SECRET


def test_a_store_without_the_registry_leaves_it_to_the_file(user: User) -> None:
    user.docker_config({"credsStore": "store", "auths": {HOST: basic("inline", SECRET)}})
    user.helper("store", "echo credentials not found in native keychain; exit 1")
    found = credential()
    assert found is not None
    assert found.username == "inline"


def test_a_helper_runs_once_for_all_the_requests_of_a_run(user: User) -> None:
    count = user.home.parent / "count"
    user.docker_config({"credsStore": "store"})
    user.helper("store", f"echo asked >> {count}\n{GIVES}")
    credentials = Credentials(settings({}), HOST)
    for _ in range(5):
        credentials("team/app")
    assert count.read_text() == "asked\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "is not on PATH"),
        (
            f"echo the keychain is locked for {SECRET}; echo {SECRET} >&2; exit 3",
            "code 3; see what it says with",
        ),
        (f"echo {SECRET}", "gave an answer that is not a credential"),
        (f"""echo '{{"Password":"{SECRET}"}}'""", "gave an answer that is not a credential"),
    ],
)
def test_a_helper_that_fails_is_named_with_its_registry_and_file(
    user: User, script: str | None, said: str
) -> None:
    user.docker_config({"credHelpers": {HOST: "broken"}})
    if script is not None:
        user.helper("broken", script)
    with pytest.raises(ConfigError) as caught:
        credential()
    message = str(caught.value)
    assert message.startswith(f"registry {HOST}: credential helper docker-credential-broken")
    assert "~/.docker/config.json" in message
    assert said in message
    assert SECRET not in message


def test_a_helper_that_waits_for_a_person_is_given_up(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.config.docker_config.HELPER_TIMEOUT", 0.2)
    user.docker_config({"credsStore": "slow"})
    user.helper("slow", "exec sleep 20")
    with pytest.raises(ConfigError, match=r"docker-credential-slow.* did not answer"):
        credential()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"auths": {"x": {"auth": "' + SECRET + '"}', "not valid JSON: line 1"),
        (
            '{"auths": [{"auth": "' + SECRET + '"}]}',
            "not in the format of docker's config.json: auths",
        ),
        (json.dumps({"auths": {HOST: {"auth": SECRET}}}), "is not base64 of user:password"),
    ],
)
def test_a_broken_file_is_named_without_its_content(user: User, content: str, said: str) -> None:
    user.docker_config(content)
    with pytest.raises(ConfigError) as caught:
        credential()
    message = str(caught.value)
    assert message.startswith("~/.docker/config.json: ")
    assert said in message
    assert SECRET not in message + repr(caught.value.__cause__)


def test_files_with_nothing_in_them_are_no_error(user: User) -> None:
    user.docker_config('{"auths": null, "credHelpers": null, "HttpHeaders": {"a": "b"}}')
    user.auth_file(user.home / ".config/containers/auth.json", "")
    assert credential() is None


def test_a_prefect_block_is_loaded_by_what_the_flow_hands_in(user: User) -> None:
    registries = {HOST: {"username": "robot", "password_secret": "acr-password"}}
    reached = endpoint(settings(registries), HOST, {"acr-password": SECRET}.__getitem__)
    assert reached.credential("team/app") == Credential(
        "robot", SECRET, "Prefect Secret block acr-password"
    )


def test_a_prefect_block_where_no_flow_runs_is_a_clear_error(user: User) -> None:
    registries = {HOST: {"username": "robot", "password_secret": "acr-password"}}
    with pytest.raises(ConfigError, match=f"registries.{HOST}.password_secret"):
        credential(registries)


@pytest.mark.usefixtures("user", "variables")
def test_no_repr_holds_a_secret() -> None:
    reached = endpoint(settings({HOST: BY_VARIABLES}), HOST)
    found = reached.credential("team/app")
    assert SECRET not in repr(found) + repr(reached) + repr(reached.credential)


def test_the_endpoint_carries_what_mirrors_yaml_says_of_the_registry(
    user: User, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("certificate")
    config = settings(
        {
            "127.0.0.1:5061": {"insecure": True, "hub_api": "http://127.0.0.1:5069"},
            "127.0.0.1:5443": {"ca_file": "ca.pem", "realm_hosts": ["auth.example.com"]},
        },
        tmp_path / "mirrors.yaml",
    )
    plain, private = endpoint(config, "127.0.0.1:5061"), endpoint(config, "127.0.0.1:5443")
    assert (plain.host, plain.insecure, plain.hub_api) == (
        "127.0.0.1:5061",
        True,
        "http://127.0.0.1:5069",
    )
    assert (private.insecure, private.ca_file) == (False, tmp_path / "ca.pem")
    assert private.realm_hosts == {"auth.example.com"}


@pytest.mark.usefixtures("variables")
def test_the_anonymous_endpoint_has_no_credential_though_there_is_one(user: User) -> None:
    user.docker_config({"auths": {HOST: basic("docker", "x")}})
    reached = anonymous(settings({HOST: {**BY_VARIABLES, "insecure": True}}), HOST)
    assert reached.credential("team/app") is None
    assert reached.insecure


def test_docker_hub_has_its_web_api_by_default_and_other_registries_none(user: User) -> None:
    assert endpoint(settings({}), "docker.io").hub_api == "https://hub.docker.com"
    assert endpoint(settings({}), HOST).hub_api is None


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_at_the_end_of_variables_are_dropped(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACR_USER", f"robot{end}")
    monkeypatch.setenv("ACR_PASSWORD", f" {SECRET} {end}")
    found = credential({HOST: BY_VARIABLES})
    assert found is not None
    assert (found.username, found.password) == ("robot", f" {SECRET} "), "blanks may belong to it"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_in_dockers_config_are_skipped(user: User, end: str) -> None:
    encoded = base64.b64encode(f"docker:{SECRET}{end}".encode()).decode()
    broken = f"{encoded[:8]}{end}{encoded[8:]}{end}"  # as `base64` without -w 0 gives it
    user.docker_config({"auths": {HOST: {"auth": broken}}})
    found = credential()
    assert found is not None
    assert (found.username, found.password) == ("docker", SECRET)
