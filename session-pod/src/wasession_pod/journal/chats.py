"""What is known of a chat, and how news change it. Pure.

Surprising: three sources tell of a chat and none may spoil what another knows better. Live traffic counts unread messages;
history sync, which comes in parts and late, gives its flags and its unread count only once; a name alone, as a push
name or a group's new subject, names a chat but does not put it on the list.
"""

import msgspec

from wasession_pod import jids
from wasession_pod.engine import ChatInfo


class ChatRow(msgspec.Struct, frozen=True):
    """A chat as the journal holds it; see `schema` for `listed` and `synced`."""

    id: str
    name: str | None = None
    push_name: str | None = None
    unread: int = 0
    pinned: bool = False
    archived: bool = False
    listed: bool = False
    synced: bool = False

    @property
    def shown_name(self) -> str | None:
        """The name in the address book or of the group, else what the other side calls itself."""
        return self.name or self.push_name


def is_group(chat: str) -> bool:
    """Whether a chat's JID is a group's."""
    return chat.endswith("@" + jids.GROUP_SERVER)


def told(row: ChatRow, info: ChatInfo) -> ChatRow:
    """`row` after history sync or a group's news told `info`."""
    if info.pinned is not None or info.archived is not None:
        return _synced(row, info)
    if info.unread_count is not None:
        return msgspec.structs.replace(row, name=info.name or row.name, unread=info.unread_count, listed=True)
    if is_group(row.id):
        return msgspec.structs.replace(row, name=info.name or row.name)
    return msgspec.structs.replace(row, push_name=info.name or row.push_name)


def _synced(row: ChatRow, info: ChatInfo) -> ChatRow:
    """From history sync: flags and unread messages count the first time alone, because later parts repeat old ones."""
    row = msgspec.structs.replace(row, name=info.name or row.name, listed=True)
    if row.synced:
        return row
    unread = max(row.unread, info.unread_count or 0)
    return msgspec.structs.replace(row, unread=unread, pinned=bool(info.pinned), archived=bool(info.archived), synced=True)
