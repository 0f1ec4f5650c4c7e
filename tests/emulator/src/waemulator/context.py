"""What every part of the server shares: the state, and who is connected right now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waemulator.accounts import DeviceKey, Directory
    from waemulator.connection import Connection
    from waemulator.database import Database
    from waemulator.faults import StandingFaults
    from waemulator.groups import Groups
    from waemulator.logbook import Logbook
    from waemulator.mailbox import Mailbox
    from waemulator.media import MediaStore
    from waemulator.pki import Pki


@dataclass
class Context:
    """The running server.

    Attributes:
        connections: every open connection, logged in or not.
        online: the connection of each linked device that is logged in.
        references: the connection that shows each QR code, by the code's reference.
        references_per_connection: how many QR codes a client gets; it shows the first for 60 s and each other for 20 s.
    """

    database: Database
    logbook: Logbook
    directory: Directory
    groups: Groups
    mailbox: Mailbox
    media: MediaStore
    faults: StandingFaults
    pki: Pki
    noise_chain: bytes
    references_per_connection: int = 6
    connections: set[Connection] = field(default_factory=set)
    online: dict[DeviceKey, Connection] = field(default_factory=dict)
    references: dict[str, Connection] = field(default_factory=dict)
