"""What every kind of fault is: a context that a run is made in, and how often it hit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from faults.stage import Run, Stage


@dataclass
class Fired:
    """How often a fault acted."""

    times: int = 0


Acting = Callable[[Stage, Random, "asyncio.Future[Run]", Fired], AbstractAsyncContextManager[None]]
