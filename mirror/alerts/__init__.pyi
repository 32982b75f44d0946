from .channels.channel import Channel as Channel, open_channels as open_channels
from .channels.message import Event as Event, Message as Message
from .channels.render import plain as plain
from .credential_ends import note_credential_ends as note_credential_ends
from .evaluation import AlertRound as AlertRound, evaluate_and_dispatch as evaluate_and_dispatch
from .open_alerts import OpenAlert as OpenAlert, read_open_alerts as read_open_alerts
from .watchdog import Watchdog as Watchdog, WatchdogRound as WatchdogRound
