"""The journal against a model of lists: whatever happens in whatever order, nothing is lost, doubled or out of order."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wasession_pod.engine import Received
from wasession_pod.events import Event
from wasession_pod.journal import Journal

pytestmark = pytest.mark.unit
MEMORY = Path("/dev/shm")  # noqa: S108  a sync costs nothing there, and nothing here is about syncs
CHAT = "573009999999@s.whatsapp.net"
HOOKS = {"http://a": frozenset({"message"}), "http://b": frozenset({"message"})}
urls = st.sampled_from(sorted(HOOKS))


class JournalModel(RuleBasedStateMachine):
    """Messages that come once or more, a backend and two webhooks that take them or do not, and processes that end."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.known: list[int] = []
        self.pending: list[int] = []
        self.live: dict[str, list[int]] = {url: [] for url in HOOKS}
        self.dead: dict[str, list[int]] = {url: [] for url in HOOKS}
        self.open()

    def open(self) -> None:
        self.journal = Journal(Path(self.directory.name) / "journal.db", now=lambda: 100)
        self.journal.outbox.subscribe(HOOKS)

    def teardown(self) -> None:
        self.journal.close()
        self.directory.cleanup()

    @rule(number=st.integers(0, 9))
    def a_message_comes(self, number: int) -> None:
        message = Received(str(number), CHAT, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=number)
        new = self.journal.record(message, pending=True, event=Event(f"evt_{number}", "message", b"{}", 100_000))
        assert new is (number not in self.known)
        if new:
            self.known.append(number)
            self.pending.append(number)
            for url in HOOKS:
                self.live[url].append(self.place(number))

    def place(self, number: int) -> int:
        return self.known.index(number)

    @precondition(lambda self: self.pending)
    @rule(count=st.integers(1, 3))
    def the_backend_takes_some(self, count: int) -> None:
        batch = self.journal.pending(0, count)
        self.journal.delivered(batch[-1].seq)
        del self.pending[:count]

    @rule(url=urls, outcome=st.sampled_from(["delivered", "retry", "dead"]))
    def a_webhook_answers(self, url: str, outcome: str) -> None:
        letter = self.journal.outbox.first(url)
        assert bool(letter) is bool(self.live[url])
        if letter is None:
            return
        assert letter.id == f"evt_{self.known[self.live[url][0]]}"
        match outcome:
            case "delivered":
                self.journal.outbox.delivered(url, letter.seq)
                self.live[url].pop(0)
            case "retry":
                self.journal.outbox.retry(url, letter.seq, 7, "status 503")
            case _:
                self.journal.outbox.dead(url, letter.seq, 100, "status 400")
                self.dead[url].append(self.live[url].pop(0))

    @rule(number=st.none() | st.integers(0, 9))
    def dead_letters_are_delivered_again(self, number: int | None) -> None:
        wanted = {url: [p for p in self.dead[url] if number is None or self.known[p] == number] for url in HOOKS}
        assert self.journal.outbox.redeliver(None if number is None else f"evt_{number}") == sum(map(len, wanted.values()))
        for url, places in wanted.items():
            self.live[url] = sorted(self.live[url] + places)
            self.dead[url] = [place for place in self.dead[url] if place not in places]

    @rule(closed=st.booleans())
    def the_process_ends_and_another_begins(self, closed: bool) -> None:  # noqa: FBT001  drawn
        before = self.journal
        if closed:
            before.close()
        self.open()
        if not closed:
            before._database._db.close()

    @rule()
    def time_passes(self) -> None:
        self.journal.prune()

    @invariant()
    def the_journal_holds_what_the_model_holds(self) -> None:
        assert [int(item.message.id) for item in self.journal.pending(0, 100)] == self.pending
        assert self.journal.outbox.backlog() == sum(map(len, self.live.values()))
        assert sorted(letter.id for letter in self.journal.outbox.dead_letters()) == sorted(
            f"evt_{self.known[place]}" for places in self.dead.values() for place in places
        )
        held = {place for places in (*self.live.values(), *self.dead.values()) for place in places}
        assert self.journal._read("SELECT count(*) FROM events", ())[0][0] == len(held)


TestJournalAgainstTheModel = JournalModel.TestCase
TestJournalAgainstTheModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
