"""Proxies that end at the emulator's own TLS listener, whatever host is asked for: HTTP CONNECT here, SOCKS5 in `socks`.

Nothing is resolved, nothing leaves.
"""

import asyncio
import base64
import binascii
import contextlib
import fnmatch
from dataclasses import dataclass

from waemulator.logbook import Logbook
from waemulator.pki import HOSTS

CHUNK_BYTES = 65_536
TLS_PORT = 443
ANSWERS = {
    "connected": b"HTTP/1.1 200 Connection established\r\n\r\n",
    "bad": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "method": b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n\r\n",
    "host": b"HTTP/1.1 403 Not a WhatsApp host\r\nContent-Length: 0\r\n\r\n",
    "credentials": (
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b'Proxy-Authenticate: Basic realm="waemulator"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    ),
}


@dataclass(frozen=True)
class Credentials:
    """A user and a password."""

    user: str
    password: str


@dataclass(frozen=True)
class Asked:
    """What a client asks a proxy for: `host:port` as it wrote them, and who it says it is."""

    target: str
    given: Credentials | None = None

    def verdict(self, needed: Credentials | None) -> str:
        """Whether it is `connected`, or what is wrong: `credentials` (those needed were not given) or `host` (not WhatsApp's)."""
        if needed is not None and self.given != needed:
            return "credentials"
        host, _, port = self.target.rpartition(":")
        known = port == str(TLS_PORT) and any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in HOSTS)
        return "connected" if known else "host"


def judge(head: bytes, needed: Credentials | None = None) -> tuple[str, Asked]:
    """What to answer to a request's head (a key of ANSWERS), and what it asks for."""
    first, *headers = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3:
        return "bad", Asked("")
    method, target, _ = parts
    asked = Asked(target, _basic(headers))
    return ("method" if method != "CONNECT" else asked.verdict(needed)), asked


def _basic(headers: list[str]) -> Credentials | None:
    """The credentials of a `Proxy-Authorization: Basic`, or None."""
    for header in headers:
        name, _, value = header.partition(":")
        scheme, _, encoded = value.strip().partition(" ")
        if name.lower() == "proxy-authorization" and scheme.lower() == "basic":
            with contextlib.suppress(binascii.Error, UnicodeDecodeError):
                user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
                return Credentials(user, password)
    return None


class Proxy:
    """Serves the proxy's connections; the target is the TLS listener on this machine."""

    protocol = "http"

    def __init__(self, logbook: Logbook, tls_port: int, needed: Credentials | None = None) -> None:
        """Prepares a proxy; with `needed` it refuses who does not give these credentials."""
        self._logbook = logbook
        self._tls_port = tls_port
        self.needed = needed

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection to its end."""
        try:
            if await self.admit(reader, writer):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._tls_port)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            else:
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # the client is gone
        finally:
            writer.close()

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Hears what the client asks for and answers it; whether it is to be connected."""
        verdict, asked = judge(await reader.readuntil(b"\r\n\r\n"), self.needed)
        self.record(verdict, asked)
        writer.write(ANSWERS[verdict])
        return verdict == "connected"

    def record(self, verdict: str, asked: Asked) -> None:
        """Notes as `proxy` what was asked for and answered, and as `proxy_connect` that a client got through."""
        user = asked.given.user if asked.given else None
        self._logbook.add("proxy", protocol=self.protocol, target=asked.target, user=user, verdict=verdict)
        if verdict == "connected":
            self._logbook.add("proxy_connect", protocol=self.protocol, user=user, host=asked.target.rpartition(":")[0])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes on until one side ends, then ends the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
