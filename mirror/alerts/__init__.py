"""Alerts: rules on the record, and messages about what they find.

    result = await evaluate_and_dispatch(settings, database_url())

A rule is a query (sql/<rule>.sql). What it finds is an open alert in the record (table alert) until
it finds it no more; what is to be said of it, a row for each channel (alert_delivery). Runs, the
report and `mirror watchdog` all do such rounds; that several do so at once changes nothing.
"""

from mirror.alerts.credential_ends import note_credential_ends
from mirror.alerts.dispatch import Dispatched
from mirror.alerts.evaluation import BUDGET, AlertRound, evaluate, evaluate_and_dispatch
from mirror.alerts.open_alerts import OpenAlert, open_alerts
from mirror.alerts.state import Changes
from mirror.alerts.watchdog import Watchdog, WatchdogRound

__all__ = [
    "BUDGET",
    "AlertRound",
    "Changes",
    "Dispatched",
    "OpenAlert",
    "Watchdog",
    "WatchdogRound",
    "evaluate",
    "evaluate_and_dispatch",
    "note_credential_ends",
    "open_alerts",
]
