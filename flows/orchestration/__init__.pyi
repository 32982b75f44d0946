from .api_login import (
    LOGIN_ENV as LOGIN_ENV,
    ORIGINS_ENV as ORIGINS_ENV,
    SERVER_ENV as SERVER_ENV,
    login_file as login_file,
    note_address as note_address,
    server_login as server_login,
    weakness as weakness,
)
from .artifacts import (
    key as key,
    progress_artifact as progress_artifact,
    publish_artifacts as publish_artifacts,
    publish_run as publish_run,
)
from .automations import Automated as Automated, deploy_automations as deploy_automations
from .deployments import (
    ALL as ALL,
    AUDIT_EVERY as AUDIT_EVERY,
    AUDIT_TURN as AUDIT_TURN,
    PUBLISH as PUBLISH,
    WATCH as WATCH,
    Scheduled as Scheduled,
    planned as planned,
)
from .entry_runs import (
    is_deployed_run as is_deployed_run,
    parts_of as parts_of,
    start_entry_runs as start_entry_runs,
)
from .hooks import alert as alert
from .in_process import (
    prepare_prefect as prepare_prefect,
    run as run,
    run_or_stop as run_or_stop,
    run_until_signal as run_until_signal,
)
from .living_flow import living as living, living_alone as living_alone
from .log_format import follow_log_settings as follow_log_settings
from .no_proxy import bypass_proxies as bypass_proxies
from .prefect_yaml import prefect_file as prefect_file
from .reaper import Reaper as Reaper, keep_reaping as keep_reaping
from .redacting import redacting as redacting
from .registration import Deployed as Deployed, deploy as deploy, run_now as run_now
from .report_artifacts import alert_rows as alert_rows, goal_rows as goal_rows, markdown as markdown
from .retries import no_retries_if_hopeless as no_retries_if_hopeless
from .run_names import run_name as run_name
from .run_trigger import TriggerName as TriggerName, trigger_of as trigger_of
from .secret_blocks import load_secret as load_secret
from .states import (
    OutcomeError as OutcomeError,
    outcome_as as outcome_as,
    outcome_of as outcome_of,
)
from .steps import as_task as as_task, task_log as task_log
from .temporary_server import (
    SERVER as SERVER,
    inherited_by_prefect as inherited_by_prefect,
    use_own_server as use_own_server,
)
