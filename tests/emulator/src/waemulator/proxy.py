"""An HTTP CONNECT proxy that ends at the emulator's own TLS listener, whatever host is asked for. Nothing is resolved, nothing leaves."""

import asyncio
import contextlib
import fnmatch

from waemulator.logbook import Logbook
from waemulator.pki import HOSTS

CHUNK_BYTES = 65_536
TLS_PORT = "443"
ANSWERS = {
    "connected": b"HTTP/1.1 200 Connection established\r\n\r\n",
    "bad": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "method": b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n\r\n",
    "host": b"HTTP/1.1 403 Not a WhatsApp host\r\nContent-Length: 0\r\n\r\n",
}


def judge(head: bytes) -> tuple[str, str]:
    """What to answer to a request's head (a key of ANSWERS), and the host and port that it asks for."""
    parts = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(parts) != 3:
        return "bad", ""
    method, target, _ = parts
    host, _, port = target.rpartition(":")
    if method != "CONNECT":
        return "method", target
    known = port == TLS_PORT and any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in HOSTS)
    return ("connected" if known else "host"), target


class Proxy:
    """Serves the proxy's connections; the target is the TLS listener on this machine."""

    def __init__(self, logbook: Logbook, tls_port: int) -> None:
        self._logbook = logbook
        self._tls_port = tls_port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection to its end."""
        try:
            verdict, target = judge(await reader.readuntil(b"\r\n\r\n"))
            self._logbook.add("proxy", target=target, verdict=verdict)
            writer.write(ANSWERS[verdict])
            if verdict == "connected":
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._tls_port)
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            else:
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # the client is gone
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes on until one side ends, then ends the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
