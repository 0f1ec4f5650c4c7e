"""What the pod reads out of whatsmeow's database."""

import sqlite3
from pathlib import Path

import pytest

from wasession_pod import credentials
from wasession_pod.engine import Account

pytestmark = pytest.mark.unit


def database(directory: Path, *rows: tuple[str, str | None, str]) -> None:
    with sqlite3.connect(credentials.path(directory)) as db:
        db.execute("CREATE TABLE whatsmeow_device (jid TEXT, lid TEXT, push_name TEXT)")
        db.executemany("INSERT INTO whatsmeow_device VALUES (?, ?, ?)", rows)
    db.close()


def test_a_linked_account_is_known_before_the_login(tmp_path: Path) -> None:
    database(tmp_path, ("573001234567:12@s.whatsapp.net", "100000000000001:12@lid", "María"))
    assert credentials.exist(tmp_path)
    assert credentials.account(tmp_path) == Account("573001234567", "573001234567@s.whatsapp.net", "100000000000001@lid", "María")


def test_what_is_not_known_yet_is_none(tmp_path: Path) -> None:
    database(tmp_path, ("573001234567:1@s.whatsapp.net", None, ""))
    assert credentials.account(tmp_path) == Account("573001234567", "573001234567@s.whatsapp.net", None, None)


def test_without_a_file_a_table_or_a_device_nothing_is_linked(tmp_path: Path) -> None:
    assert (credentials.exist(tmp_path), credentials.account(tmp_path)) == (False, None)
    credentials.path(tmp_path).touch()
    assert (credentials.exist(tmp_path), credentials.account(tmp_path)) == (False, None)
    database(tmp_path)
    assert (credentials.exist(tmp_path), credentials.account(tmp_path)) == (False, None)


def test_a_file_that_cannot_be_read_counts_as_credentials(tmp_path: Path) -> None:
    credentials.path(tmp_path).write_text("no database, long enough to be looked at" * 100)
    assert (credentials.exist(tmp_path), credentials.account(tmp_path)) == (True, None)
