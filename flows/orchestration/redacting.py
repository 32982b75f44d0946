"""What flows and tasks raise shows no secret: it becomes states, logs and events of Prefect."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, get_type_hints

from mirror.outside_text import without_secrets

P = ParamSpec("P")
T = TypeVar("T")


def redacting(body: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Redact every exception that leaves the body of a flow or a task, of every secret of this
    process. Below `@flow` or `@task`; the flows get it by `@living` and `@living_alone`."""

    @functools.wraps(body)
    async def redacted_body(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await body(*args, **kwargs)
        except Exception as error:
            shown = without_secrets(error)
            if shown is error:
                raise
            raise shown from None

    # Prefect looks names of annotations up in the module of the function that it is given.
    redacted_body.__annotations__ = get_type_hints(body, include_extras=True)
    vars(redacted_body)["__signature__"] = inspect.signature(body, eval_str=True)
    vars(redacted_body)["redacts"] = True
    return redacted_body
