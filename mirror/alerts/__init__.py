"""Alerts: rules on the record, and messages about what they find.

    result = await evaluate_and_dispatch(settings, database_url())

A rule is a query (sql/<rule>.sql). Each row that it returns is an open alert (table alert) until
the row disappears; each message about an alert is a row per channel (alert_delivery). Syncs, the
report and `mirror watchdog` all do such rounds; concurrent rounds are safe.
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
