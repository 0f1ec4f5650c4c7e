"""What whatsmeow tells only its log: why a login was refused or a stream ended, and that the volume fails. Pure.

Surprising: neonize has no event for most of this, and for a refusal with a number that it does not know it even fails
("required field neonize.ConnectFailure.Reason not set"), so the words of the log are the only source of the number.
The words are those of whatsmeow's connectionevents.go at the version that neonize 0.5.2 holds.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from wasession_pod import disconnects, volume
from wasession_pod.engine import Disconnected

UNTOLD = "required field neonize."
"""In the error of a connect whose reason neonize could not pass on."""
_failure = re.compile(r"(?:Temporary ban|Unknown) connect failure: <failure ([^>]*?)/?>")
_assumed = re.compile(r"Got (\d{3})(?:/.*)? (?:connect failure|stream error), assuming automatic reconnect")
_logged_out = re.compile(r"Got (\d{3}): .*connect failure, sending LoggedOut event")
_attribute = re.compile(r'(\w+)="([^"]*)"')


def verdict(line: str, now: datetime) -> Disconnected | None:
    """What a line says of the connection's end; None: nothing. `now` is what a ban's `expire`, in seconds, counts from."""
    if match := _assumed.match(line):
        return Disconnected(int(match[1]))
    if match := _failure.match(line):
        return _refused(dict(_attribute.findall(match[1])), now)
    return None


def end(line: str) -> Disconnected | None:
    """What a line says of an end whose event is not sure to follow.

    After a 515 whatsmeow connects once and, if that fails, stays away. At a refused login it deletes the device, and if
    it is quick, neonize then waits for a pairing and passes no event on.
    """
    if match := _logged_out.match(line):
        return Disconnected(int(match[1]))
    return Disconnected(disconnects.RESTART_REQUIRED) if line.startswith("Failed to reconnect after 515") else None


def socket_failed(line: str) -> bool:
    """Whether the line is that of a socket that cannot be read any more."""
    return line.startswith("Error reading from websocket")


def local_fault(line: str) -> bool:
    """Whether a line says that the volume fails; one that quotes a stanza does not count, for strangers write what is in there."""
    return "<" not in line and volume.is_fault(line)


def _refused(attributes: Mapping[str, str], now: datetime) -> Disconnected:
    reason, expire, message = attributes.get("reason", ""), attributes.get("expire", ""), attributes.get("message")
    code = int(reason) if reason.isdigit() else disconnects.SERVER_ERROR
    words = f"login refused: {message}" if message else ""
    until = now + timedelta(seconds=int(expire)) if expire.isdigit() and int(expire) else None
    return Disconnected(code, words, until if code == disconnects.TEMPORARILY_BANNED else None)
