import asyncio
import base64
from pathlib import Path

import pytest

from waemulator.database import Database
from waemulator.logbook import Logbook
from waemulator.proxy import ANSWERS, Asked, Credentials, judge
from waemulator.socks import SocksProxy

pytestmark = pytest.mark.unit
ALICE = Credentials("alice", "s3cret")
TARGET = "web.whatsapp.com:443"


@pytest.mark.parametrize(
    ("head", "verdict", "target"),
    [
        (b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", "connected", TARGET),
        (b"CONNECT mmg.whatsapp.net:443 HTTP/1.1\r\n\r\n", "connected", "mmg.whatsapp.net:443"),
        (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", "host", "example.org:443"),
        (b"CONNECT web.whatsapp.com.example.org:443 HTTP/1.1\r\n\r\n", "host", "web.whatsapp.com.example.org:443"),
        (b"CONNECT web.whatsapp.com:22 HTTP/1.1\r\n\r\n", "host", "web.whatsapp.com:22"),
        (b"CONNECT 10.0.0.1 HTTP/1.1\r\n\r\n", "host", "10.0.0.1"),
        (b"GET http://web.whatsapp.com/ HTTP/1.1\r\n\r\n", "method", "http://web.whatsapp.com/"),
        (b"\xff\xfe\r\n\r\n", "bad", ""),
        (b"\r\n\r\n", "bad", ""),
    ],
)
def test_only_whatsapps_hosts_are_connected(head: bytes, verdict: str, target: str) -> None:
    assert judge(head) == (verdict, Asked(target))
    assert ANSWERS[verdict].startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("given", "verdict", "user"),
    [
        ("alice:s3cret", "connected", "alice"),
        ("alice:wrong", "credentials", "alice"),
        ("bob:s3cret", "credentials", "bob"),
        ("alice", "credentials", "alice"),
        (None, "credentials", None),
    ],
)
def test_who_must_say_who_it_is_is_connected_only_if_it_is_right(given: str | None, verdict: str, user: str | None) -> None:
    header = f"proxy-authorization: Basic {base64.b64encode(given.encode()).decode()}\r\n" if given else ""
    found, asked = judge(f"CONNECT {TARGET} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode(), ALICE)
    assert (found, asked.given.user if asked.given else None) == (verdict, user)


@pytest.mark.parametrize("header", ["Basic ***", "Basic gICA", "Bearer x", "Basic"])
def test_credentials_that_cannot_be_read_are_none(header: str) -> None:
    assert judge(f"CONNECT {TARGET} HTTP/1.1\r\nProxy-Authorization: {header}\r\n\r\n".encode(), ALICE)[0] == "credentials"


NAME = b"\x03\x10web.whatsapp.com\x01\xbb"
LOGIN = b"\x01\x05alice\x06s3cret"


class Sink:
    """Keeps what a proxy answers."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.mark.parametrize(
    ("needed", "said", "answered", "record"),
    [
        (None, b"\x05\x01\x00\x05\x01\x00" + NAME, b"\x05\x00\x05\x00", ("connected", None, TARGET)),
        (None, b"\x05\x02\x00\x02" + LOGIN + b"\x05\x01\x00" + NAME, b"\x05\x02\x01\x00\x05\x00", ("connected", "alice", TARGET)),
        (ALICE, b"\x05\x02\x00\x02" + LOGIN + b"\x05\x01\x00" + NAME, b"\x05\x02\x01\x00\x05\x00", ("connected", "alice", TARGET)),
        (ALICE, b"\x05\x01\x02\x01\x05alice\x05wrong", b"\x05\x02\x01\x01", ("credentials", "alice", "")),
        (ALICE, b"\x05\x01\x00", b"\x05\xff", ("credentials", None, "")),
        (None, b"\x05\x01\x00\x05\x02\x00" + NAME, b"\x05\x00\x05\x07", ("method", None, TARGET)),
        (None, b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb", b"\x05\x00\x05\x02", ("host", None, "127.0.0.1:443")),
        (None, b"\x05\x01\x00\x05\x01\x00\x09", b"\x05\x00\x05\x08", ("bad", None, "")),
        (None, b"\x04\x01\x00", b"", ("bad", None, "")),
    ],
)
async def test_a_socks_client_is_answered_as_the_rfcs_say(
    tmp_path: Path, needed: Credentials | None, said: bytes, answered: bytes, record: tuple[str, str | None, str]
) -> None:
    database = Database(tmp_path)
    reader, sink = asyncio.StreamReader(), Sink()
    reader.feed_data(said)
    reader.feed_eof()
    logbook = Logbook(database)
    connected = await SocksProxy(logbook, 1, needed).admit(reader, sink)  # type: ignore[arg-type]
    assert sink.written.startswith(answered)
    assert len(sink.written) in (len(answered), len(answered) + 8)
    (noted,) = logbook.since(0, kind="proxy")
    assert (noted["verdict"], noted["user"], noted["target"]) == record
    assert connected == bool(logbook.since(0, kind="proxy_connect")) == (record[0] == "connected")
    database.close()
