"""The journal's file: earlier releases' ones are brought forward, later ones' refused, and a volume that failed is used again."""

import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from wasession_contract.podwire import Chat, LastMessage
from wasession_pod.engine import Received, Sent
from wasession_pod.events import Event
from wasession_pod.journal import Database, Journal, JournalError, Outcome
from wasession_pod.journal.schema import STEPS
from wasession_pod.settings import Retention

pytestmark = pytest.mark.unit
CHAT, GROUP, OWN = "573009999999@s.whatsapp.net", "120363000000000000@g.us", "573001234567@s.whatsapp.net"
LONG = Retention(max_age_days=100_000)
FIRST_RELEASE = """
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, sender TEXT NOT NULL,
    from_me INTEGER NOT NULL, text TEXT NOT NULL, type TEXT NOT NULL, has_media INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    push_name TEXT NOT NULL, pending INTEGER NOT NULL) STRICT;
CREATE INDEX messages_by_chat ON messages (chat, seq);
CREATE INDEX messages_pending ON messages (seq) WHERE pending;
CREATE TABLE sends (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, outcome TEXT NOT NULL, id TEXT, timestamp INTEGER, at INTEGER NOT NULL) STRICT;
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A journal as the first release wrote it."""
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(FIRST_RELEASE)
        rows = [
            ("in-1", CHAT, CHAT, 0, "hola", "text", 0, 1, "Carlos", 0),
            ("out-1", CHAT, OWN, 1, "buenas", "text", 0, 2, "", 0),
            ("in-2", CHAT, CHAT, 0, "[Imagen recibida]", "image", 1, 3, "Carlos", 1),
            ("in-3", GROUP, CHAT, 0, "en el grupo", "text", 0, 4, "Carlos", 1),
        ]
        db.executemany(
            "INSERT INTO messages (id, chat, sender, from_me, text, type, has_media, timestamp, push_name, pending)"
            " VALUES (?,?,?,?,?,?,?,?,?,?)",
            rows,
        )
        db.execute("INSERT INTO sends VALUES ('k', 'body', 'done', 'out-1', 2, 2)")
    db.close()
    return path


def test_the_first_releases_file_is_brought_forward_with_all_that_it_holds(file: Path) -> None:
    journal = Journal(file, LONG)
    assert [item.message.text for item in journal.pending(0, 10)] == ["[Imagen recibida]", "en el grupo"]
    assert journal.begin_send("k", "body", 3) == (Outcome.DONE, Sent("out-1", 2))
    assert journal.chats() == [
        Chat(GROUP, None, is_group=True, unread_count=1, last_message=LastMessage("en el grupo", 4, from_me=False)),
        Chat(CHAT, "Carlos", is_group=False, unread_count=1, last_message=LastMessage("[Imagen recibida]", 3, from_me=False)),
    ]
    assert [(m.id, m.status) for m in journal.messages(CHAT, 10)] == [("in-1", None), ("out-1", "sent"), ("in-2", None)]
    again = Received("in-3", GROUP, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=4)
    assert not journal.record(again, pending=True)


def test_it_is_brought_forward_once(file: Path) -> None:
    Journal(file, LONG).close()
    assert Journal(file, LONG).backlog() == 2
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
    db.close()


def test_a_step_that_breaks_off_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (*STEPS[:-1], (*STEPS[-1], "no SQL"))
    monkeypatch.setattr("wasession_pod.journal.database.STEPS", broken)
    with pytest.raises(JournalError, match="syntax error"):
        Journal(file, LONG)
    monkeypatch.undo()
    assert Journal(file, LONG).backlog() == 2


def test_a_later_releases_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match=r"written by a newer release \(schema 99, this one knows"):
        Journal(path)


def test_a_journal_is_used_again_after_its_volume_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.probe()
    journal._database._db.close()  # what a volume's failure may leave: a connection that is of no use
    late = Received("late", CHAT, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=4)
    with pytest.raises(JournalError):
        journal.record(late, pending=True)
    journal.probe()
    assert journal.record(late, pending=True)


def test_a_volume_that_does_not_work_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal._database._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError, match="readonly"):
        journal.record(Received("x", CHAT, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=4), pending=True)
    journal.probe()  # a new connection
    journal.close()
    (tmp_path / "journal.db").unlink()
    tmp_path.joinpath("journal.db").mkdir()
    with pytest.raises(JournalError, match="unable to open"):
        journal.probe()


def test_the_size_counts_the_write_ahead_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    assert journal.size() == sum(path.stat().st_size for path in tmp_path.iterdir() if not path.name.endswith("-shm"))
    assert journal.size() > 4096


def test_a_full_volume_loses_nothing_that_was_stored_and_is_used_again_once_there_is_room(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    outbox_event = Event("evt_1", "message", b"{}", int(time.time() * 1000))
    journal.outbox.subscribe({"http://hook": {"message"}})
    connection = journal._database._db
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    stored = 0
    with pytest.raises(JournalError, match="full"):  # noqa: PT012  how many fit is SQLite's matter
        for number in range(1000):
            long = Received(f"m{number}", CHAT, CHAT, from_me=False, text="x" * 500, type="text", has_media=False, timestamp=4)
            event = msgspec.structs.replace(outbox_event, id=f"evt_{number}")
            journal.record(long, pending=True, event=event)
            stored += 1
    assert 0 < stored < 100
    assert (journal.backlog(), journal.outbox.backlog(), len(journal.messages(CHAT, 1000))) == (stored, stored, stored)
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    journal.probe()
    again = Received(f"m{stored}", CHAT, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=4)
    assert journal.record(again, pending=True, event=msgspec.structs.replace(outbox_event, id="evt_again"))
    assert journal.backlog() == stored + 1


def test_a_transaction_that_breaks_off_leaves_nothing_behind_and_the_next_one_works() -> None:
    database = Database(":memory:")
    with pytest.raises(LookupError), database.transaction() as db:  # noqa: PT012  both belong to the transaction
        db.execute("INSERT INTO counters VALUES ('x', 1)")
        raise LookupError
    assert database.write("INSERT INTO counters VALUES ('y', 1)") == 1
    assert database.read("SELECT name FROM counters") == [("y",)]
