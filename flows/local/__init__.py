"""Processes of one machine: what `mirror up` and `mirror demo` start, supervise and stop.

machine.py            `mirror up`: everything on one machine
stack.py              Postgres and Prefect's server, which both commands need
data_folder.py        the data folder: locked by one process, cleaned of what a killed one left
supervisor.py         child processes: process group, log file, health check, stop in reverse order
prefect_programs.py   Prefect's server and the process worker
prefect_server.py     Prefect's server behind a login and a gate
limited_http.py       uvicorn with limits, for servers that strangers reach
site_server.py        the site and /metrics over HTTP
health_checks.py      what /healthz answers
ports.py              addresses, free and taken ports
signals.py            SIGINT and SIGTERM
healthy.py            the containers' health check
demo/                 `mirror demo`: the guided run
sample_registry/      the registries and images of the guided run
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
