"""What client, server and WebSocket share: addresses in URLs, opening connections, and the errors of all of them."""

import asyncio
import ssl
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

CHUNK = 1 << 16
HAPPY_EYEBALLS_SECONDS = 0.25  # RFC 8305, section 8
SCHEMES = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ENCRYPTED = frozenset({"https", "wss"})


class WebError(Exception):
    """The other side cannot be reached, does not answer in time, or does not speak the protocol."""


class TooLargeError(WebError):
    """The other side sends more than is wanted; `status` of its answer, if it was an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Target(NamedTuple):
    """Where a URL leads. `target` is path and query, `host` without brackets, in ASCII."""

    encrypted: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in ({443} if self.encrypted else {80}) else f"{host}:{self.port}"


def parse(url: str) -> Target:
    """Take a URL apart. Raises WebError, naming it, where it is none of `SCHEMES` or has no host."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise WebError(f"{url[:200]!r} is no usable URL: {error}") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if scheme not in SCHEMES or not host:
        raise WebError(f"{url[:200]!r} is no usable URL: it needs a scheme ({', '.join(SCHEMES)}) and a host")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise WebError(f"{url[:200]!r} is no usable URL: percent-encode what is not ASCII")
    return Target(scheme in _ENCRYPTED, ascii_host, SCHEMES[scheme] if port is None else port, target)


@cache
def public_tls() -> ssl.SSLContext:
    """TLS with the system's authorities; made at first use, because they take a megabyte."""
    return ssl.create_default_context()


async def open_connection(
    where: Target, *, tls: ssl.SSLContext | None = None, address: str | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to `where`, at `address` instead of what its name resolves to if that is given. Raises OSError."""
    context = (tls or public_tls()) if where.encrypted else None
    return await asyncio.open_connection(
        address or where.host,
        where.port,
        ssl=context,
        server_hostname=where.host if where.encrypted else None,
        happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
        limit=CHUNK,
    )
