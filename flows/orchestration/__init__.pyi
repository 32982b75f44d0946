from .artifacts import (
    key as key,
    progress_artifact as progress_artifact,
    publish_run as publish_run,
)
from .deployments import (
    ALL as ALL,
    PUBLISH as PUBLISH,
    planned as planned,
    register as register,
    run_now as run_now,
)
from .hooks import alert as alert
from .in_process import prepare_prefect as prepare_prefect, run as run
from .no_proxy import bypass_proxies as bypass_proxies
from .report_artifacts import alert_rows as alert_rows, goal_rows as goal_rows, markdown as markdown
from .retries import no_retries_for as no_retries_for
from .secret_blocks import load_secret as load_secret
from .states import (
    OutcomeError as OutcomeError,
    outcome_as as outcome_as,
    outcome_of as outcome_of,
)
from .steps import as_task as as_task, task_log as task_log
