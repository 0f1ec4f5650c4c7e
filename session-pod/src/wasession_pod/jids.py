"""WhatsApp addresses (JIDs): what a caller may write as a recipient."""

import re

USER_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"
GROUP_SERVER = "g.us"
BROADCAST_SERVER, STATUS_USER = "broadcast", "status"  # not a chat: what people publish is from status@broadcast
PERSON_SERVERS = frozenset({USER_SERVER, LID_SERVER})
_number = re.compile(r"\+?([0-9]{5,15})\Z")  # E.164 allows 15 digits; no account has fewer than 5
_jid = re.compile(rf"(?:[0-9]{{5,20}}@(?:{USER_SERVER}|c\.us|{LID_SERVER})|[0-9]{{5,25}}(?:-[0-9]{{5,15}})?@{GROUP_SERVER})\Z")


def recipient(text: str) -> str:
    """The JID that `text` means: digits with the country code, or a JID of a user or a group. Raises ValueError."""
    text = text.strip()
    if number := _number.match(text):
        return f"{number[1]}@{USER_SERVER}"
    if _jid.match(text):
        return text.replace("@c.us", f"@{USER_SERVER}")
    raise ValueError(
        f"{text[:60]!r} is no recipient: use digits with the country code (573001234567) or a JID (573001234567@{USER_SERVER})"
    )


def number_of(jid: str) -> str:
    """What stands before the @: the phone number where the JID has one."""
    return jid.partition("@")[0]
