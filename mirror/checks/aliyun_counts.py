"""Pull counts of repositories of Aliyun ACR, from Aliyun's OpenAPI.

Only the personal edition reports them: its API (product cr, version 2016-06-07, GetRepo) has
`downloads` in a repository's description. The enterprise edition's API (2018-12-01) lists
repositories and tags without a count. The SDK that signs the requests is the optional extra
`aliyun`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

_PERSONAL: Final = (
    re.compile(r"registry(?:-internal|-vpc)?\.(?P<region>[a-z0-9-]+)\.aliyuncs\.com"),
    re.compile(r"crpi-[a-z0-9]+(?:-vpc)?\.(?P<region>[a-z0-9-]+)\.personal\.cr\.aliyuncs\.com"),
)
_TIMEOUT: Final = 10_000  # milliseconds, to connect and to read each


class CountUnknown(Exception):
    """The registry did not report a pull count; the message says why."""


@dataclass(frozen=True, slots=True)
class AliyunAccount:
    """An access key of Alibaba Cloud, which is not the registry's user and password."""

    key_id: str
    key_secret: str = field(repr=False)
    endpoint: str | None = None  # another API host than cr.<region>.aliyuncs.com
    insecure: bool = False  # plain http

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> AliyunAccount | None:
        """The key in ALIBABA_CLOUD_ACCESS_KEY_ID and _SECRET, as the SDK names them, or None."""
        key_id = environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID")
        secret = environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        return cls(key_id, secret) if key_id and secret else None


def personal_region(host: str) -> str | None:
    """The region of a host of Aliyun's personal edition, both forms, or None for other hosts."""
    for form in _PERSONAL:
        if match := form.fullmatch(host):
            return match["region"]
    return None


async def aliyun_downloads(account: AliyunAccount, region: str, repository: str) -> int:
    """All pulls of `namespace/name` so far, by one API request (GetRepo, `downloads`).

    Raises CountUnknown: the extra is not installed, the key is refused, the answer has no count.
    """
    if find_spec("alibabacloud_tea_openapi") is None:
        raise CountUnknown("Aliyun's pull counts need the extra `hagicode-mirror[aliyun]`")
    from alibabacloud_tea_openapi.client import Client
    from alibabacloud_tea_openapi.utils_models import Config, OpenApiRequest, Params
    from darabonba.exceptions import RetryError
    from darabonba.runtime import RuntimeOptions
    from Tea.exceptions import TeaException, UnretryableException

    protocol = "HTTP" if account.insecure else "HTTPS"
    client = Client(
        Config(
            access_key_id=account.key_id,
            access_key_secret=account.key_secret,
            region_id=region,
            endpoint=account.endpoint or f"cr.{region}.aliyuncs.com",
            protocol=protocol,
        )
    )
    params = Params(
        action="GetRepo",
        version="2016-06-07",
        pathname=f"/repos/{repository}",
        method="GET",
        style="ROA",
        protocol=protocol,
        auth_type="AK",
        req_body_type="json",
        body_type="json",
    )
    runtime = RuntimeOptions(connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT)
    try:
        answer = await client.call_api_async(params, OpenApiRequest(), runtime)
    except (TeaException, UnretryableException, RetryError, ValueError, OSError) as error:
        code = getattr(error, "code", None) or type(error).__name__
        raise CountUnknown(
            f"no pull count of {repository} from Aliyun's API in {region}: {code}"
        ) from error
    return _downloads(answer, repository)


def _downloads(answer: Mapping[str, Any], repository: str) -> int:
    try:
        return int(answer["body"]["data"]["repo"]["downloads"])
    except (KeyError, TypeError, ValueError):
        raise CountUnknown(f"Aliyun's API describes {repository} without a pull count") from None
