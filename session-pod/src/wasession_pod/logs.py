"""Log lines in the original's form, `✅ [cliente1] Conexión WhatsApp establecida`, and where they go.

Surprising: neonize and its Go library print on file descriptor 1, the QR code among it, so before they are loaded our
log gets a descriptor of its own and descriptor 1 leads nowhere. Their DEBUG lines hold the QR code too and stay off.
"""

import logging
import os
from datetime import UTC, datetime

import msgspec

from wasession_contract.v1alpha1 import SessionState
from wasession_pod.machine import State

_log_fd: int | None = None
_secrets: list[str] = []
STDOUT = 1


class SessionLog:
    """Writes lines of one session: `say("✅", "Conexión WhatsApp establecida")`."""

    def __init__(self, session_id: str) -> None:
        self._id = session_id
        self._log = logging.getLogger("wasession_pod")

    def say(self, sign: str, text: str, level: int = logging.INFO) -> None:
        """One line; control characters cannot break it."""
        line = f"{sign} [{self._id}] {text}"
        shown = line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)
        self._log.log(level, "%s", shown, extra={"session": self._id, "sign": sign, "text": text})

    def error(self, text: str) -> None:
        """A defect, with its stack trace for us."""
        self._log.exception("❌ [%s] %s", self._id, text, extra={"session": self._id, "sign": "❌", "text": text})


def set_up() -> None:
    """Send log lines to what was standard output, and standard output nowhere."""
    global _log_fd  # noqa: PLW0603  a process has one standard output
    _log_fd = os.dup(STDOUT)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)
    handler = logging.StreamHandler(os.fdopen(_log_fd, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False))
    handler.setFormatter(_Formatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    for name in ("whatsmeow", "Whatsmeow", "neonize", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("neonize.utils.ffmpeg").setLevel(logging.ERROR)  # text, images and documents need no ffmpeg


def use_json() -> None:
    """From now on a line is a JSON object."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_JsonFormatter())


def hide(*secrets: str) -> None:
    """Never write these, whoever's words they are in."""
    _secrets.extend(secret for secret in secrets if secret)


def restore_stdout() -> None:
    """Give standard output back, for the process that takes this one's place."""
    if _log_fd is not None:
        os.dup2(_log_fd, STDOUT)


class _Formatter(logging.Formatter):
    """Our lines as they are; a library's lines with its name and level."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._ours = logging.Formatter("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return _without_secrets(self._ours.format(record) if record.name == "wasession_pod" else super().format(record))


class _JsonFormatter(logging.Formatter):
    """`ts` (RFC 3339, UTC), `level`, `text`; of ours `session` and `sign`, of a library's lines `logger`; `error` with a stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        ts = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"ts": ts, "level": record.levelname.lower()}
        if record.name == "wasession_pod":
            line |= {key: getattr(record, key) for key in ("session", "sign", "text") if hasattr(record, key)}
        else:
            line |= {"logger": record.name, "text": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode({key: _without_secrets(value) for key, value in line.items()}).decode()


def _without_secrets(line: str) -> str:
    for secret in _secrets:
        line = line.replace(secret, "***")
    return line


def transition(before: State, after: State) -> tuple[str, str] | None:
    """The sign and text for a change of state, None where there is nothing to say. Never the QR code itself."""
    if after.at is SessionState.AWAITING_SCAN and after.qr_count != before.qr_count:
        return "📱", f"Código QR {after.qr_count} generado, esperando escaneo"
    if after.at is before.at and after.attempts == before.attempts:
        return None
    return _LINES[after.at][0], _LINES[after.at][1].format(state=after, why=_why(after), limit=after.policy.max_attempts or "∞")


def _why(state: State) -> str:
    last = state.last_disconnect
    return state.message or (f"{last.code}: {last.message}" if last else "")


_LINES: dict[SessionState, tuple[str, str]] = {
    SessionState.STARTING: ("🔄", "Iniciando de nuevo {why}"),
    SessionState.AWAITING_SCAN: ("📱", "Esperando escaneo"),
    SessionState.CONNECTING: ("🔗", "Código escaneado, conectando"),
    SessionState.CONNECTED: ("✅", "Conexión WhatsApp establecida"),
    SessionState.RECONNECTING: ("🔄", "Conexión perdida ({why}), intento {state.attempts}/{limit}"),
    SessionState.LOGGED_OUT: ("🚪", "Sesión cerrada: {why}"),
    SessionState.REPLACED: ("❌", "Sesión reemplazada por otra instancia: {why}"),
    SessionState.BANNED: ("❌", "Cuenta bloqueada: {why}"),
    SessionState.FAILED: ("❌", "Sesión detenida: {why}"),
}
