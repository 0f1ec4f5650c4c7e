"""Why a connection went and what follows: the disconnect table, as data.

The codes are WhatsApp's own, or those that the original server used for things that WhatsApp gives no number to
(408, 428, 440); `lastDisconnect` shows them as "<code>: <message>". Surprising: 405 keeps the credentials, which the
original wiped, and nothing local (volume, database, setting) is in this table, so nothing local can wipe them.
"""

from enum import Enum
from typing import NamedTuple


class Follow(Enum):
    """What the session does next."""

    RECONNECT = "reconnect"
    """Try again with back-off, up to the limit of attempts."""
    WIPE = "wipe"
    """The credentials are worthless: wipe them, start anew, show a new QR code."""
    REPLACED = "replaced"
    """Stay down: two processes with the same credentials throw each other out for ever."""
    BANNED = "banned"
    """Stay down; with an expiry, try once when it is over."""
    FAILED = "failed"
    """Stay down until somebody acts; the credentials are kept."""


class Disconnect(NamedTuple):
    """One row of the table."""

    message: str
    follow: Follow


LOGGED_OUT = 401
TEMPORARILY_BANNED = 402
LOCKED = 403
CLIENT_OUTDATED = 405
BANNED = 406
CONNECTION_LOST = 408
BAD_USER_AGENT = 409
CONNECTION_CLOSED = 428
TOO_MANY_REQUESTS = 429
REPLACED = 440
SERVER_ERROR = 500
SERVICE_UNAVAILABLE = 503
RESTART_REQUIRED = 515

CLIENT_WIPES = frozenset({LOGGED_OUT, LOCKED, BANNED})
"""At these the client itself deletes the credentials."""

TABLE: dict[int, Disconnect] = {
    LOGGED_OUT: Disconnect("logged out, or unlinked on the phone", Follow.WIPE),
    TEMPORARILY_BANNED: Disconnect("account temporarily banned", Follow.BANNED),
    LOCKED: Disconnect("account locked, or its phone is gone", Follow.BANNED),
    CLIENT_OUTDATED: Disconnect("WhatsApp refuses this client's version; install a newer release", Follow.FAILED),
    BANNED: Disconnect("account banned", Follow.BANNED),
    CONNECTION_LOST: Disconnect("connection lost", Follow.RECONNECT),
    BAD_USER_AGENT: Disconnect("WhatsApp refuses this client", Follow.FAILED),
    CONNECTION_CLOSED: Disconnect("connection closed", Follow.RECONNECT),
    TOO_MANY_REQUESTS: Disconnect("too many requests", Follow.RECONNECT),
    REPLACED: Disconnect("replaced by another instance with the same credentials", Follow.REPLACED),
    SERVER_ERROR: Disconnect("WhatsApp's server failed", Follow.RECONNECT),
    SERVICE_UNAVAILABLE: Disconnect("WhatsApp is unavailable", Follow.RECONNECT),
    RESTART_REQUIRED: Disconnect("restart required", Follow.RECONNECT),
}


def look_up(code: int) -> Disconnect:
    """The row of `code`. As the contract has it, another 4xx wipes and starts anew, anything else reconnects."""
    if row := TABLE.get(code):
        return row
    return Disconnect("refused by WhatsApp", Follow.WIPE) if 400 <= code < SERVER_ERROR else Disconnect("disconnected", Follow.RECONNECT)  # noqa: PLR2004  4xx
