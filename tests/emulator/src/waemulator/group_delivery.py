"""What members' phones send to the linked devices of a group: messages by sender keys, receipts, and news of the group itself."""

from waemulator.accounts import Account
from waemulator.context import Context
from waemulator.delivery import RECEIPTS, encrypt_for, message_stanza, new_message_id, queue
from waemulator.errors import bad_request
from waemulator.groups import Group
from waemulator.mailbox import Outgoing
from waemulator.proto import messages
from waemulator.wire import Node, node, now


async def send_to_group(context: Context, sender: Account, group: Group, message: "messages.Message", id_: str | None = None) -> str:
    """A member writes to the group; every linked device of every member gets it. Returns the message id.

    Raises:
        ControlError: the sender is no member.
    """
    require_member(group, sender)
    id_ = id_ or new_message_id()
    context.mailbox.keep_outgoing(id_, Outgoing(sender.number, group.jid, message.SerializeToString(), group.by_lid))
    sealed, sender_key = await sender.phone.encrypt_for_group(group.jid, sender.lid_jid, message)
    devices = [(member, device) for member in group.members for device in member.linked()]
    for member, device in devices:
        encs = [Node(sealed.tag, dict(sealed.attrs), sealed.content)]
        address = member.device_lid_jid(device.key.id)
        if await sender.phone.must_give_sender_key(group.jid, address):
            encs.insert(0, await encrypt_for(context, sender, member, device, _distribution(group, sender_key)))
        queue(context, device, message_stanza(id_, message, sender, encs, group.addressing(sender)))
    for number in {member.number for member, _ in devices}:
        context.logbook.add("incoming", number, id=id_, sender=sender.number, group=group.jid)
    return id_


def _distribution(group: Group, sender_key: bytes) -> "messages.Message":
    message = messages.Message()
    message.senderKeyDistributionMessage.groupId = group.jid
    message.senderKeyDistributionMessage.axolotlSenderKeyDistributionMessage = sender_key
    return message


def send_group_receipt(context: Context, sender: Account, receiver: Account, group: Group, ids: list[str], *, kind: str) -> None:
    """A member has, has read or has played messages that the account sent to the group.

    Raises:
        ControlError: one of the two is no member.
    """
    for account in (sender, receiver):
        require_member(group, account)
    items = [node("list", [node("item", id=one) for one in ids[1:]])] if ids[1:] else None
    for device in receiver.linked():
        queue(context, device, node("receipt", items, id=ids[0], type=RECEIPTS[kind], t=now(), **group.addressing(sender)))
    context.logbook.add("contact_receipt", receiver.number, sender=sender.number, group=group.jid, ids=ids, type=kind)


def require_member(group: Group, account: Account) -> None:
    """Refuses an account that is not in the group.

    Raises:
        ControlError: it is no member.
    """
    if account not in group.members:
        numbers = ", ".join(member.number for member in group.members)
        raise bad_request("no_member", f"{account.number} is not in {group.jid}; its members are {numbers}")


def make_group(context: Context, jid: str | None, subject: str, members: list[Account], *, by_lid: bool) -> Group:
    """Makes a group, or gives it another subject and other members, and tells the members' linked devices.

    Raises:
        ControlError: the id is no group's JID.
    """
    group = context.groups.find(jid) if jid else None
    if group is None:
        group = context.groups.make(jid, subject, members, by_lid=by_lid)
        _tell(context, members, group.created_news())
        return group
    added, gone = [one for one in members if one not in group.members], [one for one in group.members if one not in members]
    told = group.members + added
    group.members = [one for one in group.members if one in members] + added
    for change, who in (("add", added), ("remove", gone)):
        if who:
            _tell(context, told, group.members_news(change, who))
    if group.subject != subject:
        group.subject, group.subject_changed = subject, now()
        _tell(context, group.members, group.subject_news())
    context.groups.save(group)
    return group


def _tell(context: Context, members: list[Account], news: Node) -> None:
    for member in members:
        for device in member.linked():
            queue(context, device, news)
