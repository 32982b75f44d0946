"""Pull counts of Aliyun's personal edition, from a fake of its OpenAPI."""

from __future__ import annotations

import pytest

from mirror.checks.aliyun_counts import (
    AliyunAccount,
    CountUnknown,
    aliyun_downloads,
    personal_region,
)
from tests.checks.aliyun_api import AliyunApi, aliyun_api

SECRET = "key-secret-value"


def account(api: AliyunApi, key_id: str | None = None) -> AliyunAccount:
    return AliyunAccount(key_id or api.key_id, SECRET, endpoint=api.host, insecure=True)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("registry.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("registry-vpc.cn-beijing.aliyuncs.com", "cn-beijing"),
        ("crpi-abc123.cn-shenzhen.personal.cr.aliyuncs.com", "cn-shenzhen"),
        ("hagicode-registry.cn-hangzhou.cr.aliyuncs.com", None),  # enterprise reports no pulls
        ("hagicode.azurecr.io", None),
        ("registry.cn-hangzhou.aliyuncs.com.example.org", None),
    ],
)
def test_only_hosts_of_the_personal_edition_have_a_region(host: str, region: str | None) -> None:
    assert personal_region(host) == region


async def test_a_repository_reports_its_downloads_in_one_signed_request() -> None:
    async with aliyun_api({"hagicode/hagicode": 4321}) as api:
        assert await aliyun_downloads(account(api), "cn-hangzhou", "hagicode/hagicode") == 4321
    assert api.asked == [("GetRepo", "/repos/hagicode/hagicode")]


@pytest.mark.parametrize(
    ("key_id", "repository", "said"),
    [
        ("LTAI-other", "hagicode/hagicode", "InvalidAccessKeyId.NotFound"),
        (None, "hagicode/other", "REPO_NOT_EXIST"),
        (None, "hagicode/silent", "without a pull count"),
    ],
)
async def test_what_is_not_reported_stays_unknown_with_its_reason(
    key_id: str | None, repository: str, said: str
) -> None:
    async with aliyun_api({"hagicode/hagicode": 1, "hagicode/silent": None}) as api:
        with pytest.raises(CountUnknown, match=said) as caught:
            await aliyun_downloads(account(api, key_id), "cn-hangzhou", repository)
    assert repository in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_an_api_that_cannot_be_reached_is_unknown_too() -> None:
    async with aliyun_api({}) as api:
        gone = account(api)
    with pytest.raises(CountUnknown, match=r"no pull count of hagicode/hagicode from Aliyun"):
        await aliyun_downloads(gone, "cn-hangzhou", "hagicode/hagicode")


async def test_without_the_extra_the_count_is_unknown_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mirror.checks.aliyun_counts.find_spec", lambda name: None)
    with pytest.raises(CountUnknown, match=r"hagicode-mirror\[aliyun\]"):
        await aliyun_downloads(AliyunAccount("id", SECRET), "cn-hangzhou", "a/b")


def test_the_account_is_read_from_the_sdks_own_variables_and_hides_its_secret() -> None:
    variables = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
    found = AliyunAccount.from_environment(variables)
    assert found == AliyunAccount("id", SECRET)
    assert SECRET not in repr(found)
    assert AliyunAccount.from_environment({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id"}) is None
