"""What the flows need of Prefect.

states.py            outcomes in Prefect's states
in_process.py        flows run by a command in its process
log_format.py        logs as text or as JSON
temporary_server.py  the server of a command without PREFECT_API_URL
api_login.py         the login of Prefect's API
deployments.py       the deployments of mirrors.yaml
registration.py      the same, at a Prefect server
automations.py       Prefect's own alerts as code
prefect_yaml.py      the same, as prefect.yaml
living_flow.py       runs that are seen to be alive, one for a piece of work
redacting.py         what flows and tasks raise shows no secret
reaper.py            dead and overtaken runs are ended
run_trigger.py       what started a run
run_names.py         names of runs
artifacts.py         artifacts of a sync
report_artifacts.py  artifacts of a report
hooks.py             hooks that send alerts
secret_blocks.py     credentials from Secret blocks
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
