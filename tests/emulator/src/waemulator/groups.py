"""Groups: who is in which, and the stanzas that tell a client about them.

A group addresses its members by LID, as WhatsApp's new ones do, or by number, as old ones do.
"""

import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

from waemulator.accounts import GROUP_SERVER, Account, Directory
from waemulator.database import Database
from waemulator.errors import ControlError, bad_request
from waemulator.wire import Node, node, now

ID_PREFIX, ID_DIGITS = "120363", 18
"""WhatsApp's group ids of today: 18 digits that begin with 120363."""


@dataclass
class Group:
    """A group; its creator is the first member, and its admin."""

    jid: str
    subject: str
    subject_changed: int
    created: int
    by_lid: bool
    members: list[Account] = field(default_factory=list)

    @property
    def addressing_mode(self) -> str:
        """How members are addressed: `lid` or `pn`."""
        return "lid" if self.by_lid else "pn"

    def member_jid(self, member: Account, device: int = 0) -> str:
        """A member's device as the group addresses it."""
        if device:
            return member.device_lid_jid(device) if self.by_lid else member.device_number_jid(device)
        return member.lid_jid if self.by_lid else member.number_jid

    def addressing(self, member: Account, device: int = 0) -> dict[str, str]:
        """The attributes of a stanza that comes from a member's device in this group."""
        other = member.device_number_jid(device) if device else member.number_jid
        if not self.by_lid:
            other = member.device_lid_jid(device) if device else member.lid_jid
        name = "participant_pn" if self.by_lid else "participant_lid"
        return {"from_": self.jid, "participant": self.member_jid(member, device), name: other, "addressing_mode": self.addressing_mode}

    def describe(self) -> Node:
        """The `<group>` of an answer about it."""
        members = [self._participant(one, "superadmin" if one is self.members[0] else None) for one in self.members]
        creator = self.member_jid(self.members[0])
        return node(
            "group", members, id=self.jid.partition("@")[0], subject=self.subject, s_t=self.subject_changed, s_o=creator,
            creation=self.created, creator=creator, size=len(members), addressing_mode=self.addressing_mode, p_v_id=1, a_v_id=1,
        )  # fmt: skip

    def news(self, change: Node) -> Node:
        """The notification of a change, made by the creator."""
        creator = self.addressing(self.members[0])
        return node("notification", [change], id=secrets.token_hex(8), type="w:gp2", t=now(), notify=self.members[0].name, **creator)

    def created_news(self) -> Node:
        """The notification that the group was made."""
        return self.news(node("create", [self.describe()], type="new", key=secrets.token_hex(8)))

    def subject_news(self) -> Node:
        """The notification that the group has another name."""
        return self.news(node("subject", subject=self.subject, s_t=self.subject_changed, s_o=self.member_jid(self.members[0])))

    def members_news(self, change: str, who: list[Account]) -> Node:
        """The notification that members were added (`add`) or left (`remove`)."""
        return self.news(node(change, [self._participant(one, None) for one in who]))

    def _participant(self, member: Account, kind: str | None) -> Node:
        other = {"phone_number": member.number_jid} if self.by_lid else {"lid": member.lid_jid}
        return node("participant", jid=self.member_jid(member), type=kind, **other)


class Groups:
    """All groups, in memory and written through to the database."""

    def __init__(self, database: Database, directory: Directory) -> None:
        self._database = database
        self._groups: dict[str, Group] = {}
        for row in database.rows("SELECT * FROM chat_group"):
            group = Group(row["jid"], row["subject"], row["subject_changed"], row["created"], bool(row["by_lid"]))
            members = database.rows("SELECT number FROM group_member WHERE jid = ? ORDER BY place", group.jid)
            group.members = [directory.get(one["number"]) for one in members]
            self._groups[group.jid] = group

    def find(self, jid: str) -> Group | None:
        """The group of this JID, or None."""
        return self._groups.get(jid)

    def get(self, jid: str) -> Group:
        """The group that a caller of the control API names.

        Raises:
            ControlError: there is none.
        """
        group = self.find(jid)
        if group is None:
            raise ControlError(HTTPStatus.NOT_FOUND, "unknown_group", f"there is no group {jid[:60]!r}: make it with POST /group")
        return group

    def of(self, account: Account) -> list[Group]:
        """The groups in which the account is."""
        return [group for group in self._groups.values() if account in group.members]

    def make(self, jid: str | None, subject: str, members: list[Account], *, by_lid: bool) -> Group:
        """A new group, of a new id unless given.

        Raises:
            ControlError: the id is no group's JID.
        """
        jid = jid or f"{ID_PREFIX}{secrets.randbelow(10 ** (ID_DIGITS - len(ID_PREFIX))):0{ID_DIGITS - len(ID_PREFIX)}}@{GROUP_SERVER}"
        user, _, server = jid.partition("@")
        if server != GROUP_SERVER or not (user.isascii() and user.replace("-", "").isdigit()):
            raise bad_request("bad_group", f"not a group's JID: {jid[:60]!r}; give digits and @{GROUP_SERVER}, or leave it out")
        group = self._groups[jid] = Group(jid, subject, now(), now(), by_lid, members)
        self.save(group)
        return group

    def save(self, group: Group) -> None:
        """Writes the group back."""
        self._database.change(
            "INSERT OR REPLACE INTO chat_group VALUES (?, ?, ?, ?, ?)",
            group.jid, group.subject, group.subject_changed, group.created, group.by_lid,
        )  # fmt: skip
        self._database.change("DELETE FROM group_member WHERE jid = ?", group.jid)
        rows = [(group.jid, place, member.number) for place, member in enumerate(group.members)]
        self._database.change_many("INSERT INTO group_member VALUES (?, ?, ?)", rows)
