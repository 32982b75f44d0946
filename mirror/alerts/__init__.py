"""Alerts: rules on the record, and messages about what they find.

    result = await evaluate_and_dispatch(settings, database_url())

A rule is a query (sql/<rule>.sql). What it finds is an open alert in the record (table alert) until
it finds it no more; what is to be said of it, a row for each channel (alert_delivery). Runs, the
report and `mirror watchdog` all do such rounds; that several do so at once changes nothing.
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
