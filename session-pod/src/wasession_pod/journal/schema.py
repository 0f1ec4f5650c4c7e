"""The journal's tables, as the steps that made them. Pure data.

A file tells its step in `PRAGMA user_version` and is brought forward step by step, each in one transaction. Surprising:
the first release wrote no version, so step 1 creates its tables only where they are missing. A step that was released
is never edited.
"""

_STEP_1 = (
    """
    CREATE TABLE IF NOT EXISTS messages (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, sender TEXT NOT NULL,
        from_me INTEGER NOT NULL, text TEXT NOT NULL, type TEXT NOT NULL, has_media INTEGER NOT NULL, timestamp INTEGER NOT NULL,
        push_name TEXT NOT NULL, pending INTEGER NOT NULL) STRICT
    """,
    "CREATE INDEX IF NOT EXISTS messages_by_chat ON messages (chat, seq)",
    "CREATE INDEX IF NOT EXISTS messages_pending ON messages (seq) WHERE pending",
    """
    CREATE TABLE IF NOT EXISTS sends (
        key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, outcome TEXT NOT NULL, id TEXT, timestamp INTEGER, at INTEGER NOT NULL) STRICT
    """,
)

# A message's identity is (chat, author, id): ids are made by the sender's client and unique only beside the sender. A global
# one would let a contact suppress another's message by reusing its id. `author` is '' where the chat tells it already.
# `at` is when it came, for history when it was sent: what retention counts. `status`: see journal.STATUSES; NULL: not ours.
_STEP_2 = (
    "ALTER TABLE messages RENAME TO messages_1",
    "DROP INDEX messages_by_chat",
    "DROP INDEX messages_pending",
    """
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, chat TEXT NOT NULL, sender TEXT NOT NULL, author TEXT NOT NULL,
        from_me INTEGER NOT NULL, text TEXT NOT NULL, type TEXT NOT NULL, has_media INTEGER NOT NULL, timestamp INTEGER NOT NULL,
        push_name TEXT NOT NULL, pending INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER,
        UNIQUE (id, chat, from_me, author)) STRICT
    """,
    """
    INSERT INTO messages
    SELECT seq, id, chat, sender, CASE WHEN from_me OR chat NOT LIKE '%@g.us' THEN '' ELSE sender END,
        from_me, text, type, has_media, timestamp, push_name, pending, timestamp, CASE WHEN from_me THEN 1 END
    FROM messages_1 ORDER BY seq
    """,
    "DROP TABLE messages_1",
    "CREATE INDEX messages_by_chat ON messages (chat, timestamp, seq)",
    "CREATE INDEX messages_by_age ON messages (at, seq)",
    "CREATE INDEX messages_pending ON messages (seq) WHERE pending",
    # `listed`: a chat to show, not only a name that is known; `synced`: history has told of it.
    """
    CREATE TABLE chats (
        id TEXT PRIMARY KEY, name TEXT, push_name TEXT, unread INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0,
        archived INTEGER NOT NULL DEFAULT 0, listed INTEGER NOT NULL DEFAULT 0, synced INTEGER NOT NULL DEFAULT 0) STRICT
    """,
    """
    INSERT INTO chats (id, push_name, unread, listed)
    SELECT m.chat,
        CASE WHEN m.chat NOT LIKE '%@g.us' THEN
            (SELECT push_name FROM messages n WHERE n.chat = m.chat AND NOT from_me AND push_name != '' ORDER BY seq DESC LIMIT 1) END,
        (SELECT count(*) FROM messages u WHERE u.chat = m.chat AND NOT from_me AND seq >
            (SELECT coalesce(max(seq), 0) FROM messages o WHERE o.chat = m.chat AND from_me)),
        1
    FROM messages m GROUP BY m.chat
    """,
    # Events for webhooks, each once, and one delivery for each webhook that wants it. `due`: ms since 1970; `dead_at`: seconds.
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL) STRICT
    """,
    """
    CREATE TABLE deliveries (
        hook TEXT NOT NULL, event INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0,
        dead_at INTEGER, last_error TEXT NOT NULL DEFAULT '', PRIMARY KEY (hook, event)) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX deliveries_live ON deliveries (hook, event) WHERE dead_at IS NULL",
    "CREATE INDEX deliveries_by_event ON deliveries (event)",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)

# What of the pacing's budget is used: `at` in seconds since 1970, `day` in days since 1970.
_STEP_3 = (
    """
    CREATE TABLE pacing (
        one INTEGER PRIMARY KEY CHECK (one = 1), tokens REAL NOT NULL, at REAL NOT NULL, day INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT
    """,
)

STEPS = (_STEP_1, _STEP_2, _STEP_3)
