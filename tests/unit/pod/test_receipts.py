"""What whatsmeow's log says, and when the client may go on."""

import threading
from collections.abc import Callable, Iterator

import pytest

from wasession_pod import receipts
from wasession_pod.receipts import Asked, Asking, Decrypting, Ledger, Line, Receipts, Refusing, Stale, Telling

pytestmark = pytest.mark.unit
DEADLINE = 10.0


@pytest.mark.parametrize(
    ("module", "text", "line"),
    [
        ("Client", "Decrypting message from 1@lid in 2@g.us", Decrypting()),
        ("Client/Send", '<receipt id="3EB0A" to="1@lid" type="inactive"/>', Telling("3EB0A")),
        ("Client/Send", '<receipt id="3EB0A" to="1@lid"/>', Telling("3EB0A")),
        ("Client/Send", '<receipt id="3EB0A" participant="3@lid" recipient="4@lid" to="1@g.us" type="sender"/>', Telling("3EB0A")),
        ("Client/Send", '<receipt category="peer" id="3EB0A" to="1@s.whatsapp.net" type="peer_msg"/>', Telling("3EB0A")),
        ("Client/Send", '<receipt id="3EB0A" t="17" to="1@lid" type="read"/>', None),
        ("Client/Send", '<receipt id="3EB0A" to="1@lid" type="retry"><retry count="1" id="3EB0B"/></receipt>', Asking("3EB0A")),
        ("Client/Send", '<ack class="message" error="491" id="3EB0A" to="1@lid"/>', Refusing("3EB0A", asks=False)),
        ("Client/Send", '<ack class="message" id="3EB0A" participant="3@lid" to="1@g.us"/>', Refusing("3EB0A", asks=True)),
        ("Client/Recv", '<ack class="receipt" from="1@lid" id="3EB0A" t="17" type="retry"/>', Asked("3EB0A")),
        ("Client/Recv", '<ack class="receipt" from="1@lid" id="3EB0A" t="17" type="inactive"/>', None),
        ("Client/Send", '<ack class="receipt" id="3EB0A" to="1@lid" type="read"/>', None),
        ("Client/Send", '<message id="3EB0A"><receipt id="3EB0B"/></message>', None),
        ("Client/Recv", '<receipt id="3EB0A" from="1@lid"/>', None),
        (
            "Client",
            "Ignoring message 3EB0A from 57310:3@s.whatsapp.net in 57310@s.whatsapp.net: received message with old counter",
            Stale("3EB0A", "57310:3@s.whatsapp.net"),
        ),
        (
            "Client",
            "Ignoring message 3EB0A from 1@lid: failed to decrypt prekey message: received message with old counter",
            Stale("3EB0A", "1@lid"),
        ),
        ("Client", "Ignoring message 3EB0A from 1@lid: event was already processed", None),
    ],
)
def test_a_line_of_the_log_is_understood(module: str, text: str, line: Line | None) -> None:
    assert receipts.read(module, text) == line


class Client:
    """Says its lines on threads of its own, as whatsmeow does, and tells which of them got past."""

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.stale: list[Stale] = []
        self.handled: dict[str, bool] = {}
        self.receipts = Receipts(self.handled, is_stored=self.stored.__contains__, on_stale=self.stale.append)
        self._past: dict[Line, threading.Event] = {}

    def says(self, line: Line) -> None:
        past = self._past[line] = threading.Event()

        def say() -> None:
            self.receipts.heard(line)
            past.set()

        threading.Thread(target=say, daemon=True).start()

    def is_past(self, line: Line) -> bool:
        return self._past[line].is_set()

    def gets_past(self, line: Line) -> bool:
        return self._past[line].wait(DEADLINE)


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.receipts.close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "IDLE_SECONDS", 0.0)


def store(client: Client, id_: str) -> Callable[[], None]:
    def act() -> None:
        with client.receipts.handling(id_):
            client.receipts.stored(id_)

    return act


def test_whatsapp_is_told_when_the_message_is_stored(client: Client) -> None:
    client.says(Telling("a"))
    store(client, "another")()
    assert not client.is_past(Telling("a"))
    store(client, "a")()
    assert client.gets_past(Telling("a"))


def test_the_next_message_is_decrypted_when_whatsapp_was_told_of_the_one_before(client: Client) -> None:
    client.receipts.heard(Decrypting())
    client.says(Decrypting())
    store(client, "a")()
    assert not client.is_past(Decrypting())
    client.says(Telling("a"))
    assert client.gets_past(Decrypting())


def test_a_message_that_is_asked_for_again_holds_up_nothing(client: Client) -> None:
    client.receipts.heard(Decrypting())
    client.receipts.heard(Asking("a"))
    client.says(Decrypting())
    assert client.gets_past(Decrypting())


def test_a_message_is_refused_when_whatsapp_knows_that_it_is_wanted_again(client: Client) -> None:
    client.receipts.heard(Decrypting())
    client.says(Refusing("a", asks=True))
    client.says(Decrypting())
    assert client.gets_past(Decrypting()), "the next message need not wait"
    assert not client.is_past(Refusing("a", asks=True))
    client.receipts.heard(Asking("a"))
    client.receipts.heard(Asked("a"))
    assert client.gets_past(Refusing("a", asks=True))


def test_a_message_that_cannot_be_read_at_all_is_refused_at_once(client: Client) -> None:
    client.receipts.heard(Refusing("a", asks=False))


def test_housekeeping_is_told_without_being_stored(client: Client) -> None:
    with client.receipts.handling("a"):
        pass
    client.says(Telling("a"))
    assert client.gets_past(Telling("a"))


@pytest.mark.usefixtures("short_waits")
def test_a_message_without_an_event_is_told_in_the_end(client: Client) -> None:
    client.says(Telling("a"))
    assert client.gets_past(Telling("a"))


@pytest.mark.usefixtures("short_waits")
def test_a_message_that_could_not_be_stored_is_never_told(client: Client) -> None:
    with pytest.raises(OSError, match="full"), client.receipts.handling("a"):
        raise OSError("the volume is full")
    client.says(Telling("a"))
    client.says(Telling("b"))
    assert client.gets_past(Telling("b"))
    assert not client.is_past(Telling("a"))
    client.receipts.close()
    assert client.gets_past(Telling("a")), "the connection is closed: what is said now reaches nobody"


@pytest.mark.usefixtures("short_waits")
def test_a_message_that_a_killed_process_decrypted_and_did_not_store_is_asked_for_again(client: Client) -> None:
    client.receipts.heard(Stale("a", "1@lid"))
    assert client.stale == [Stale("a", "1@lid")]
    client.says(Telling("a"))
    client.says(Telling("b"))
    assert client.gets_past(Telling("b"))
    assert not client.is_past(Telling("a"))


def test_a_message_that_a_killed_process_stored_is_told(client: Client) -> None:
    client.stored.add("a")
    client.receipts.heard(Stale("a", "1@lid"))
    client.says(Telling("a"))
    assert client.gets_past(Telling("a"))
    assert client.stale == []


def test_housekeeping_that_comes_again_on_a_new_connection_is_told(client: Client) -> None:
    with client.receipts.handling("a"):
        pass
    client.receipts.close()
    again = Receipts(client.handled, is_stored=client.stored.__contains__, on_stale=client.stale.append)
    again.heard(Stale("a", "1@lid"))
    again.heard(Telling("a"))
    assert client.stale == []


class Later:
    """Timers that run when the test says."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, _seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def runs(self) -> None:
        self.calls.pop(0)()


A, B = Stale("a", "1@lid"), Stale("b", "2@lid")


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def told() -> list[Stale]:
    return []


@pytest.fixture
def ledger(later: Later, told: list[Stale]) -> Ledger:
    return Ledger(is_stored=lambda _id: False, on_stale=told.append, later=later)


def test_the_sessions_of_stale_messages_are_forgotten_before_the_next_connection(ledger: Ledger, later: Later, told: list[Stale]) -> None:
    forgotten: list[set[str]] = []
    ledger.forget(forgotten.append)
    ledger.receipts.heard(A)
    ledger.receipts.heard(B)
    later.runs()
    assert told == [A]
    ledger.forget(forgotten.append)
    ledger.begin()
    ledger.forget(forgotten.append)
    assert forgotten == [{"1@lid", "2@lid"}]
    assert later.calls == []


def test_what_waits_behind_a_stale_message_is_decrypted_first(ledger: Ledger, later: Later, told: list[Stale]) -> None:
    ledger.receipts.heard(Decrypting())
    ledger.receipts.heard(A)
    ledger.receipts.heard(Decrypting())
    later.runs()
    assert told == [], "a message was decrypted just now"
    for _ in range(receipts.MAX_SETTLES):
        later.runs()
    assert told == [A], "a session that is never quiet is not waited for without end"


def test_a_connection_that_ended_by_itself_is_not_ended_again(ledger: Ledger, later: Later, told: list[Stale]) -> None:
    ledger.receipts.heard(A)
    ledger.forget(lambda _senders: None)
    ledger.begin()
    later.runs()
    assert told == []


def test_a_database_that_fails_leaves_the_sessions_for_the_next_connection(ledger: Ledger) -> None:
    def fail(_senders: set[str]) -> None:
        raise OSError("locked")

    forgotten: list[set[str]] = []
    ledger.receipts.heard(A)
    with pytest.raises(OSError, match="locked"):
        ledger.forget(fail)
    ledger.forget(forgotten.append)
    assert forgotten == [{"1@lid"}]


def test_a_message_that_comes_stale_again_is_given_up_with_an_error(
    ledger: Ledger, later: Later, told: list[Stale], caplog: pytest.LogCaptureFixture
) -> None:
    ledger.receipts.heard(A)
    later.runs()
    ledger.begin()
    ledger.receipts.heard(A)
    ledger.receipts.heard(Telling("a"))
    assert told == [A]
    assert "message a of 1@lid is lost" in caplog.text
