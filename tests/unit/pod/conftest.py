"""A pod's shell with a fake engine: no WhatsApp, no cluster."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from wasession_contract.podwire import Activity, token, token_sha256
from wasession_contract.v1alpha1 import Reconnect
from wasession_pod import credentials
from wasession_pod.engine import Account, EngineError, EngineEvent, EventSink, NewsSink, Outgoing, Received, Refusal, Sent, Text
from wasession_pod.journal import Journal
from wasession_pod.machine import State
from wasession_pod.pod import Pod
from wasession_pod.settings import Settings

TOKEN = token(b"internal key", "uid-1")


class FakeEngine:
    """Answers at once, or as the test says; tells what it was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.outgoing: list[Outgoing] = []
        self.refusal: EngineError | None = None
        self.known = Account("573001234567", "573001234567@s.whatsapp.net", "1@lid", "María")
        self.gate = threading.Event()
        self.gate.set()
        self.connected = True
        self.on_event: Callable[[EngineEvent], None] = print
        self.on_news: Callable[[Received], None] = print

    def make(self, on_event: EventSink, on_news: NewsSink) -> "FakeEngine":
        self.on_event, self.on_news = on_event, on_news
        return self

    def connect(self) -> None:
        self.calls.append("connect")

    def stop(self) -> bool:
        self.calls.append("stop")
        return True

    def send(self, to: str, message: Outgoing) -> Sent:
        self.sent.append((to, message.text if isinstance(message, Text) else message.caption))
        self.outgoing.append(message)
        self.gate.wait(10)
        if self.refusal:
            raise self.refusal
        return Sent(f"id-{len(self.sent)}", 1700000000)

    def pairing_code(self, phone: str) -> str:
        self.calls.append(f"pairing_code {phone}")
        if self.refusal:
            raise self.refusal
        return "ABCD-EFGH"

    def show_activity(self, to: str, activity: Activity) -> None:
        self.calls.append(f"{activity} {to}")

    def mark_read(self, chat: str, sender: str, ids: Sequence[str]) -> None:
        self.calls.append(f"read {chat} {sender} {' '.join(ids)}")

    def is_connected(self) -> bool:
        self.calls.append("is_connected")
        return self.connected

    def account(self) -> Account | None:
        return self.known

    def logout(self) -> None:
        self.calls.append("logout")
        if self.refusal:
            raise self.refusal


class Shell:
    """A running pod and what a test needs around it."""

    def __init__(self, pod: Pod, engine: FakeEngine, data_dir: Path) -> None:
        self.pod = pod
        self.engine = engine
        self.data_dir = data_dir
        self.fresh_starts: list[State] = []

    def link(self) -> None:
        """Credentials of a linked device, as whatsmeow stores them."""
        import sqlite3  # noqa: PLC0415  only here

        with sqlite3.connect(credentials.path(self.data_dir)) as db:
            db.execute("CREATE TABLE whatsmeow_device (jid TEXT)")
            db.execute("INSERT INTO whatsmeow_device VALUES ('573001234567:1@s.whatsapp.net')")
        db.close()

    async def settle(self) -> None:
        """Let everything that was posted happen."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, check: Callable[[], Any]) -> None:
        """Poll with a deadline."""
        async with asyncio.timeout(10):
            while not check():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.fixture
def bearer() -> str:
    """The token of the pod's callers."""
    return TOKEN


@pytest.fixture
async def make_shell(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Shell]]]:
    """Makes a started pod; changes of its settings as arguments."""
    shells: list[Shell] = []

    async def make(**changes: Any) -> Shell:  # noqa: ANN401  fields of Settings
        given = {
            "name": "cliente1",
            "namespace": "default",
            "session_id": "cliente1",
            "pod_uid": "pod-uid-1",
            "token_sha256": token_sha256(TOKEN),
        }
        settings = Settings(**(given | {"data_dir": tmp_path} | changes))
        engine = FakeEngine()
        fresh_starts: list[State] = []

        def fresh_start(state: State) -> NoReturn:
            fresh_starts.append(state)
            raise SystemError("the process would be replaced here")

        pod = Pod(
            settings, Journal(":memory:"), state=State(policy=Reconnect()), make_engine=engine.make, server=None, fresh_start=fresh_start
        )
        shell = Shell(pod, engine, tmp_path)
        shell.fresh_starts = fresh_starts
        shells.append(shell)
        pod.start()
        await shell.settle()
        return shell

    yield make
    for shell in shells:
        shell.engine.gate.set()
        await shell.pod.stop()


@pytest.fixture
async def shell(make_shell: Callable[..., Awaitable[Shell]]) -> Shell:
    """A started pod with the usual settings."""
    return await make_shell()


def refusal(kind: Refusal, words: str) -> EngineError:
    """A failed call."""
    return EngineError(kind, words)
