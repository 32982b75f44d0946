from .dead_runs import CLOSE as CLOSE, close_dead_runs as close_dead_runs
from .living_runs import (
    LivingRuns as LivingRuns,
    as_living_run as as_living_run,
    end_session as end_session,
    find_living_runs as find_living_runs,
    find_living_runs_with as find_living_runs_with,
)
from .lock import TargetLock as TargetLock
from .lock_holder import (
    HOLDER as HOLDER,
    LockHolder as LockHolder,
    end_holder as end_holder,
    is_silent as is_silent,
    open_connection as open_connection,
    read_holder as read_holder,
)
