"""Which sessions are forgotten: the statements, run by Python's SQLite on whatsmeow's tables."""

import sqlite3

import pytest

from wasession_pod import ratchets

pytestmark = pytest.mark.unit
TABLES = """
CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session bytea);
CREATE TABLE whatsmeow_sender_keys (our_jid TEXT, chat_id TEXT, sender_id TEXT, sender_key bytea);
CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT UNIQUE NOT NULL);
INSERT INTO whatsmeow_lid_map VALUES ('77', '573100000001'), ('88', '573100000002');
INSERT INTO whatsmeow_sessions VALUES ('me', '77_1:0', ''), ('me', '77_1:3', ''), ('me', '573100000001:0', ''), ('me', '88_1:0', '');
INSERT INTO whatsmeow_sender_keys VALUES ('me', 'group', '77_1:0', ''), ('me', 'group', '88_1:0', '');
"""


@pytest.mark.parametrize(
    ("sender", "sessions", "sender_keys"),
    [
        ("573100000001@s.whatsapp.net", ["77_1:3", "88_1:0"], ["88_1:0"]),
        ("77@lid", ["77_1:3", "88_1:0"], ["88_1:0"]),
        ("77:3@lid", ["573100000001:0", "77_1:0", "88_1:0"], ["77_1:0", "88_1:0"]),
        ("573199999999@s.whatsapp.net", ["573100000001:0", "77_1:0", "77_1:3", "88_1:0"], ["77_1:0", "88_1:0"]),
        ("' OR 1=1 --@lid", ["573100000001:0", "77_1:0", "77_1:3", "88_1:0"], ["77_1:0", "88_1:0"]),
    ],
)
def test_the_sessions_with_one_device_are_forgotten(sender: str, sessions: list[str], sender_keys: list[str]) -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    for sql in ratchets.statements([sender]):
        db.execute(sql)
    assert [row[0] for row in db.execute("SELECT their_id FROM whatsmeow_sessions ORDER BY 1")] == sessions
    assert [row[0] for row in db.execute("SELECT sender_id FROM whatsmeow_sender_keys ORDER BY 1")] == sender_keys
    db.close()
