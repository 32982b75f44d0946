"""Prefect flows that keep mirrors of container images.

Whatever process imports them, a command, a worker's flow run or a server's child, its logs and the
traceback of its crash show no secret.
"""

from mirror.outside_text import protect_output

protect_output()
