"""Alerts: rules on the record, and messages about what they find.

    result = await evaluate_and_dispatch(settings, database_url())

A rule is a query (sql/<rule>.sql). What it finds is an open alert in the record (table alert) until
it finds it no more; what is to be said of it, a row for each channel (alert_delivery). Runs, the
report and `mirror watchdog` all do such rounds; that several do so at once changes nothing.
"""

from flows.alerting.credential_ends import note_credential_ends
from flows.alerting.dispatch import Dispatched
from flows.alerting.evaluation import BUDGET, AlertRound, evaluate, evaluate_and_dispatch
from flows.alerting.ledger import Changes
from flows.alerting.standing import OpenAlert, open_alerts
from flows.alerting.watchdog import Watchdog, WatchdogRound

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
