"""Prefect flows that keep mirrors of container images.

Whatever process imports them, a command, a worker's flow run or a server's child, its logs and the
traceback of its crash show no secret and are JSON where MIRROR_LOG asks for it, and it reaches
loopback and Prefect's server without a proxy.
"""

from flows.orchestration import bypass_proxies, follow_log_settings
from mirror.outside_text import protect_output

protect_output()
bypass_proxies(strict=False)
follow_log_settings(strict=False)
