"""Log lines in both formats: whose line it is, one line each, and nothing secret in any."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from wasession_operator import logs
from wasession_operator.secrecy import without_secrets
from wasession_operator.settings import LogFormat, LogLevel

pytestmark = pytest.mark.unit
NUMBER = "573001234567"
Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was logged since. Everything global is put back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook

    def written() -> list[str]:
        return capsys.readouterr().out.splitlines()

    yield written
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)


def test_a_line_of_a_library_in_a_workers_task_names_the_session(lines: Lines) -> None:
    logs.set_up(LogFormat.JSON, LogLevel.INFO)
    structlog.contextvars.bind_contextvars(namespace="a", session="cliente1")
    logging.getLogger("aiohttp.client").warning("slow: %s", "reason")
    structlog.get_logger("x").info("looked")
    said = [json.loads(line) for line in lines()]
    assert [(one["namespace"], one["session"], one["event"], one["level"]) for one in said] == [
        ("a", "cliente1", "slow: reason", "warning"),
        ("a", "cliente1", "looked", "info"),
    ]


@pytest.mark.parametrize("name", ["cliente1", "cliente1-session", "cliente1-data"])
def test_a_line_of_kopf_about_an_object_names_its_session(lines: Lines, name: str) -> None:
    logs.set_up(LogFormat.JSON, LogLevel.INFO)
    logging.getLogger("kopf.objects").error("odd", extra={"k8s_ref": {"name": name, "namespace": "a", "uid": "u"}})
    [said] = [json.loads(line) for line in lines()]
    assert (said["namespace"], said["session"], said["event"]) == ("a", "cliente1", "odd")


def _fail() -> None:
    raise RuntimeError(f"odd: {NUMBER}@s.whatsapp.net")


@pytest.mark.parametrize("hook", ["main", "thread"])
def test_what_nobody_catches_is_one_line(lines: Lines, hook: str) -> None:
    logs.set_up(LogFormat.JSON, LogLevel.INFO)
    with pytest.raises(RuntimeError) as raised:
        _fail()
    if hook == "main":
        sys.excepthook(raised.type, raised.value, raised.tb)
    else:
        threading.excepthook(threading.ExceptHookArgs((raised.type, raised.value, raised.tb, None)))
    [line] = lines()
    said = json.loads(line)
    assert (said["level"], said["event"]) == ("critical", "ended by a defect of the operator")
    assert "Traceback" in said["exception"]
    assert NUMBER not in line


def test_text_has_the_same_and_the_cleanup_line_as_it_ever_was(lines: Lines) -> None:
    logs.set_up(LogFormat.TEXT, LogLevel.INFO)
    structlog.contextvars.bind_contextvars(namespace="a", session="cliente3")
    structlog.get_logger("x").info("🧹 Limpiando sesión inactiva: %s", "cliente3")
    [line] = lines()
    assert "🧹 Limpiando sesión inactiva: cliente3" in line
    assert "session=cliente3" in line
    assert "namespace=a" in line


@pytest.mark.parametrize("level", LogLevel)
def test_the_level_holds_for_our_lines_and_never_lets_libraries_say_more(lines: Lines, level: LogLevel) -> None:
    logs.set_up(LogFormat.JSON, level)
    ours, kopf = structlog.get_logger("x"), logging.getLogger("kopf.x")
    for each in LogLevel:
        getattr(ours, each)(each)
        getattr(kopf, each)(f"kopf {each}")
    levels = list(LogLevel)
    least = max(levels.index(level), levels.index(LogLevel.WARNING))
    wanted = [*levels[levels.index(level) :], *(f"kopf {each}" for each in levels[least:])]
    assert sorted(json.loads(line)["event"] for line in lines()) == sorted(wanted)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f'spec.pairing.phoneNumber: Invalid value: "{NUMBER}": must', 'spec.pairing.phoneNumber: Invalid value: "***": must'),
        (f"jid {NUMBER}:12@s.whatsapp.net left", "jid *** left"),
        (f"{NUMBER}.0:1@lid", "***"),
        (f"call +{NUMBER}.", "call ***."),
        ("2@AbCdEfGhIjKlMnOpQrStUv,x/y=,z and more", "*** and more"),
        ("pods in 1234567890 bytes at 1795548952, version 987654321", "pods in 1234567890 bytes at 1795548952, version 987654321"),
        ('size "1Gi", 12 of "20"', 'size "1Gi", 12 of "20"'),
        ("image registry@sha256:0123456789abcdef0123456789abcdef", "image registry@sha256:0123456789abcdef0123456789abcdef"),
    ],
)
def test_numbers_jids_and_codes_are_hidden_and_other_numbers_are_not(text: str, left: str) -> None:
    assert without_secrets(text) == left


def test_a_session_that_is_named_by_a_number_keeps_its_name(lines: Lines) -> None:
    logs.set_up(LogFormat.JSON, LogLevel.INFO)
    structlog.get_logger("x").info(f"of '{NUMBER}'", session=NUMBER)
    [said] = [json.loads(line) for line in lines()]
    assert (said["session"], said["event"]) == (NUMBER, "of '***'")
