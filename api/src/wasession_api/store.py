"""The watch cache: every session as decoded struct and as ready-made bytes, so that a read is a look-up and a list is a join.

Surprising: a session that is being deleted is not seen by readers from that moment on, as in the original, but its
name stays taken until the object is gone. If two objects claim one session id, the older one is the session.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from wasession_api import presenter
from wasession_api.errors import NotSyncedError
from wasession_api.qrimage import QrImages
from wasession_contract.v1alpha1 import QR, WhatsAppSession

_EPOCH = datetime.fromtimestamp(0, UTC)
Predicate = Callable[[WhatsAppSession | None], bool]


class Entry:
    """One session: the struct, its QR code if it has one, and its bytes."""

    __slots__ = ("age", "connected", "image", "item", "qr", "session", "status")

    def __init__(self, session: WhatsAppSession) -> None:
        self.session = session
        self.connected = presenter.is_connected(session)
        self.qr = presenter.qr_of(session)
        self.image = ""
        self.age = (session.metadata.creation_timestamp or _EPOCH, session.metadata.name)
        self.render()

    def render(self) -> None:
        """Make the bytes anew: after the picture was drawn, or the code expired."""
        status = presenter.status(self.session, self.qr if self.image else None, self.image)
        self.status = presenter.status_json(status)
        self.item = presenter.item_json(self.session.session_id, status)

    def pending(self, now: datetime) -> QR | None:
        """The QR code, if it is still accepted; one that is not any more leaves the bytes."""
        if self.qr is not None and now >= self.qr.expires_at:
            self.qr, self.image = None, ""
            self.render()
        return self.qr


class Store:
    """All sessions of the namespace, as the watch says they are."""

    def __init__(self, images: QrImages | None = None) -> None:
        self.synced = False
        self._images = images or QrImages()
        self._objects: dict[str, WhatsAppSession] = {}
        self._claims: dict[str, tuple[Entry, ...]] = {}
        self._order: list[Entry] | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def need_synced(self) -> None:
        """Raises NotSyncedError as long as the first list has not been read."""
        if not self.synced:
            raise NotSyncedError

    def get(self, session_id: str) -> Entry | None:
        """The session of this id, as last seen; not one that is being deleted."""
        claims = self._claims.get(session_id)
        return claims[0] if claims else None

    async def drawn(self, session_id: str, now: datetime) -> Entry | None:
        """The session of this id with its QR code's picture, or without a code if it has expired at `now`."""
        entry = self.get(session_id)
        if entry is not None and entry.qr is not None:
            await self._draw(entry, now)
        return entry

    async def all(self, now: datetime) -> list[Entry]:
        """All sessions, oldest first, each drawn as by `drawn`."""
        for entry in self.ordered():
            if entry.qr is not None:
                await self._draw(entry, now)
        return self.ordered()

    async def _draw(self, entry: Entry, now: datetime) -> None:
        pending = entry.pending(now)
        if pending is not None and not entry.image:
            entry.image = await self._images.of(pending.code)
            entry.render()

    def ordered(self) -> list[Entry]:
        """All sessions, oldest first."""
        if self._order is None:
            self._order = sorted((claims[0] for claims in self._claims.values()), key=lambda entry: entry.age)
        return self._order

    def totals(self, now: datetime, limit: int) -> presenter.Totals:
        """How many sessions there are, of which kinds."""
        entries = self.ordered()
        return presenter.Totals(
            total=len(entries),
            connected=sum(entry.connected for entry in entries),
            with_qr=sum(1 for entry in entries if entry.qr is not None and entry.pending(now)),
            limit=limit,
        )

    def replace(self, sessions: Iterable[WhatsAppSession]) -> None:
        """Take a full list: what is not in it is gone."""
        there = {session.metadata.name: session for session in sessions}
        for name in [name for name in self._objects if name not in there]:
            self.remove(name)
        for session in there.values():
            self.put(session)
        self.synced = True

    def put(self, session: WhatsAppSession) -> None:
        """Take a new or changed object."""
        name = session.metadata.name
        before = self._objects.get(name)
        if before is not None and before.metadata.resource_version == session.metadata.resource_version != "":
            return
        self._objects[name] = session
        if before is not None:
            self._unclaim(before)
        if session.metadata.deletion_timestamp is None:
            entry = Entry(session)
            claims = sorted((*self._claims.get(session.session_id, ()), entry), key=lambda entry: entry.age)
            self._claims[session.session_id] = tuple(claims)
            self._order = None
        self._wake(name)

    def remove(self, name: str) -> None:
        """An object is gone."""
        before = self._objects.pop(name, None)
        if before is not None:
            self._unclaim(before)
        self._wake(name)

    def _unclaim(self, session: WhatsAppSession) -> None:
        kept = tuple(entry for entry in self._claims.get(session.session_id, ()) if entry.session.metadata.name != session.metadata.name)
        if kept:
            self._claims[session.session_id] = kept
        else:
            self._claims.pop(session.session_id, None)
        self._order = None

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()

    async def wait_until(self, name: str, holds: Predicate, seconds: float) -> bool:
        """Wait until `holds` of the object `name` (None: there is none); False if it did not within `seconds`."""
        changed = asyncio.Event()
        self._waiting.setdefault(name, set()).add(changed)
        try:
            async with asyncio.timeout(seconds):
                while not holds(self._objects.get(name)):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]
        return True

    def close(self) -> None:
        """End the drawing thread."""
        self._images.close()
