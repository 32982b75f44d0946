"""Processes of one machine: what `mirror up` and `mirror demo` start, watch over and stop.

machine.py      all of it together: `mirror up`
stack.py        Postgres and Prefect's server, which both commands stand on
folder.py       the data folder: held by one at a time, swept of what a killed one left
processes.py    child processes: own group, log file, health, stop in reverse order
prefect.py      Prefect's server and the process worker, as programs
deployments.py  what is scheduled, derived from mirrors.yaml
web.py          the site and /metrics over HTTP
ports.py        addresses, free and taken ports
signals.py      stopping on request
healthy.py      what the containers' health checks run
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
