"""What neonize's events say of a connection that is lost or refused. What they leave out is in `whatsmeow_log`.

Surprising: a client whose credentials were refused says only that it is logged out; whether the account is locked or banned
is in the reason, and neonize knows two of the reasons.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from wasession_pod import disconnects, lean
from wasession_pod.engine import Disconnected

with lean.imports():
    from neonize import events as wa
    from neonize.proto.Neonize_pb2 import LOGGED_OUT, MAIN_DEVICE_GONE

_LOGGED_OUT_CODES = {LOGGED_OUT: disconnects.LOGGED_OUT, MAIN_DEVICE_GONE: disconnects.LOCKED}  # all else: banned (406)


def _temporary_ban(event: Any) -> Disconnected:  # noqa: ANN401  protobuf
    until = datetime.now(UTC) + timedelta(seconds=event.Expire) if event.Expire else None
    return Disconnected(disconnects.TEMPORARILY_BANNED, until=until)


def _login_refused(event: Any) -> Disconnected:  # noqa: ANN401  protobuf
    """A refusal that whatsmeow has no event for; the number is only in the raw stanza."""
    reason = next((attr.text or str(attr.integer) for attr in event.Raw.Attrs if attr.name == "reason"), "")
    code = int(reason) if reason.isdigit() else disconnects.SERVER_ERROR
    return Disconnected(code, f"login refused: {event.Message}" if event.Message else "")


LOSSES: dict[type, Callable[[Any], Disconnected]] = {
    wa.KeepAliveTimeoutEv: lambda _event: Disconnected(disconnects.CONNECTION_LOST, "no answer to the keep-alive ping"),
    wa.StreamErrorEv: lambda event: Disconnected(disconnects.SERVER_ERROR, f"stream error {event.Code}"),
    wa.StreamReplacedEv: lambda _event: Disconnected(disconnects.REPLACED),
    wa.LoggedOutEv: lambda event: Disconnected(_LOGGED_OUT_CODES.get(event.Reason, disconnects.BANNED)),
    wa.TemporaryBanEv: _temporary_ban,
    wa.ClientOutdatedEv: lambda _event: Disconnected(disconnects.CLIENT_OUTDATED),
    wa.ConnectFailureEv: _login_refused,
}
"""neonize's event -> what it says. `Disconnected` is not among them: why it comes is only in the log."""
