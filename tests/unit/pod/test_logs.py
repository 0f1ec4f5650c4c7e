"""Log lines: the original's form, one line each, and never the QR code."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from wasession_contract.v1alpha1 import Reconnect, SessionState
from wasession_pod import logs
from wasession_pod.engine import Account, Connected, Disconnected, Faulted, QRShown, Scanned
from wasession_pod.logs import SessionLog, transition
from wasession_pod.machine import Event, State, step

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY: list[tuple[Event, str | None]] = [
    (QRShown("2@secret"), "📱 Código QR 1 generado, esperando escaneo"),
    (QRShown("2@other"), "📱 Código QR 2 generado, esperando escaneo"),
    (Scanned(), "🔗 Código escaneado, conectando"),
    (Connected(Account("573001234567", "573001234567@s.whatsapp.net")), "✅ Conexión WhatsApp establecida"),
    (Connected(Account("573001234567", "573001234567@s.whatsapp.net")), None),
    (Disconnected(428), "🔄 Conexión perdida (428: connection closed), intento 1/5"),
    (Faulted("the volume is full"), "❌ Sesión detenida: the volume is full"),
]


def test_each_change_of_state_has_its_line_once_and_no_qr_code() -> None:
    state = State(policy=Reconnect())
    for event, line in HISTORY:
        before = state
        state, _ = step(state, event, NOW, 0.0)
        said = transition(before, state)
        assert (said and " ".join(said)) == line
        assert "secret" not in str(said)


def test_every_state_has_a_line() -> None:
    start = State(policy=Reconnect())
    for at in SessionState:
        assert at is SessionState.STARTING or transition(start, State(policy=Reconnect(), at=at))


def test_a_text_cannot_break_or_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        SessionLog("cliente1").say("📨", "hola\n✅ [cliente2] falsa\r\x1b[2J")
    assert [record.getMessage() for record in caplog.records] == ["📨 [cliente1] hola ✅ [cliente2] falsa  [2J"]


def formatted(capsys: pytest.CaptureFixture[str], log: Callable[[], None]) -> list[dict[str, str]]:
    """What `log` writes as JSON lines, with the root logger as it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    handler = logging.StreamHandler(sys.stdout)
    root.handlers[:], root.level = [handler], logging.INFO
    try:
        logs.use_json()
        log()
    finally:
        root.handlers[:], root.level = before, level
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_lines_have_the_same_facts_in_fields(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_secrets", [])
    logs.hide("s3cret", "")

    def log() -> None:
        SessionLog("cliente1").say("📨", "hola\ns3cret")
        logging.getLogger("whatsmeow.Client").error("through http://ana:s3cret@proxy")
        try:
            int("s3cret")
        except ValueError:
            SessionLog("cliente1").error("Connect()")

    ours, library, defect = formatted(capsys, log)
    assert datetime.fromisoformat(ours.pop("ts")).tzinfo is UTC
    assert ours == {"level": "info", "session": "cliente1", "sign": "📨", "text": "hola\n***"}
    assert (library["logger"], library["text"]) == ("whatsmeow.Client", "through http://ana:***@proxy")
    assert defect["error"].endswith("invalid literal for int() with base 10: '***'")
