"""The watch as a process that stays, `mirror watch`.

live_watch.py     looks at every source, one watch at a time, until stopped
entry_watch.py    the same for an entry for many repositories
sync_runs.py      what moved is synced: flow runs in this process
kept_clients.py   registry clients that stay open from look to look
"""

from flows.watching.live_watch import Reports, live_watch

__all__ = ["Reports", "live_watch"]
