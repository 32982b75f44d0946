"""Processes of one machine: what `mirror up` and `mirror demo` start, watch over and stop.

stack.py        Postgres and Prefect's server, which both commands stand on
processes.py    child processes: own group, log file, health, stop in reverse order
ports.py        free and taken ports
prefect.py      the Prefect server and the process worker, as commands with environments
deployments.py  what is scheduled, derived from mirrors.yaml
web.py          the site and /metrics over HTTP
"""
