"""Calls of the engine with a stand-in for neonize's client: what surely was not sent, and what does not wait for what."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from neonize_here import whatsapp  # before neonize itself

from neonize.exc import SendMessageError, UploadError  # isort: skip
from wasession_contract.podwire import Activity, MediaKind
from wasession_pod.engine import EngineError, File, Refusal, Text

pytestmark = pytest.mark.integration
CHAT = "573009999999@s.whatsapp.net"
FILE = File(MediaKind.DOCUMENT, b"%PDF-", "application/pdf")
UPLOADED = SimpleNamespace(url="u", DirectPath="/v", MediaKey=b"k", FileSHA256=b"s", FileEncSHA256=b"e", FileLength=5)


class Client:
    """Stands for neonize's client."""

    is_connected = True

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.shown: list[str] = []
        self.uploading: Callable[[], Any] = lambda: UPLOADED
        self.sending: Callable[[], None] = lambda: None

    def upload(self, _data: bytes, _kind: object) -> Any:  # noqa: ANN401  protobuf
        return self.uploading()

    def send_message(self, _to: object, message: object) -> Any:  # noqa: ANN401  protobuf
        self.sending()
        self.sent.append(message)
        return SimpleNamespace(ID="3EB0", Timestamp=1700000000)

    def send_chat_presence(self, _to: object, state: Any, _media: object) -> None:  # noqa: ANN401  an enum
        self.shown.append(state.name)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def engine(client: Client, tmp_path: Path) -> Any:  # noqa: ANN401  with a client that is none
    engine: Any = whatsapp.NeonizeEngine(
        data_dir=tmp_path, device_name="x", proxy=None, on_event=print, on_news=print, is_stored=lambda _id: False
    )
    engine._client, engine._logged_in = client, True
    return engine


def refusal(work: Callable[[], object]) -> EngineError:
    with pytest.raises(EngineError) as refused:
        work()
    return refused.value


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


def test_an_upload_that_fails_is_refused_and_nothing_is_sent(engine: Any, client: Client) -> None:  # noqa: ANN401
    client.uploading = raising(UploadError("upload failed with status code 507"))
    refused = refusal(lambda: engine.send(CHAT, FILE))
    assert (refused.refusal, client.sent) == (Refusal.REFUSED, [])
    assert str(refused) == "the file could not be uploaded: upload failed with status code 507"


def test_after_an_upload_that_took_too_long_nothing_is_sent(engine: Any, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    monkeypatch.setattr(whatsapp, "UPLOAD_SECONDS", -1.0)
    assert refusal(lambda: engine.send(CHAT, FILE)).refusal is Refusal.REFUSED
    assert client.sent == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("no LID found for 573009999999@s.whatsapp.net from server", Refusal.NO_SUCH_RECIPIENT),
        ("timed out waiting for message send response", Refusal.UNKNOWN),
        ("websocket disconnected before message send returned response", Refusal.UNKNOWN),
        ("websocket not connected", Refusal.NOT_CONNECTED),
        ("server returned error 463", Refusal.REFUSED),
    ],
)
def test_whatsmeows_words_tell_whether_the_message_may_be_out(engine: Any, client: Client, words: str, kind: Refusal) -> None:  # noqa: ANN401
    client.sending = raising(SendMessageError(words))
    assert refusal(lambda: engine.send(CHAT, Text("Hola"))).refusal is kind


def test_while_one_message_is_not_acknowledged_the_next_is_refused_and_typing_is_shown(
    engine: Any,  # noqa: ANN401
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whatsapp, "LOCK_SECONDS", 0.05)
    begun, go = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go.wait(10)

    client.sending = hang
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(engine.send, CHAT, Text("eins"))
        assert begun.wait(10)
        refused = refusal(lambda: engine.send(CHAT, Text("zwei")))
        engine.show_activity(CHAT, Activity.COMPOSING)
        go.set()
        assert first.result(10).id == "3EB0"
    assert (refused.refusal, len(client.sent), client.shown) == (Refusal.NOT_CONNECTED, 1, ["CHAT_PRESENCE_COMPOSING"])
