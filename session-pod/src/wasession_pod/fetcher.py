"""Fetches the file that a caller gives by URL, without letting the caller look into the cluster.

Every hop is judged anew: http or https, no user or password, and every address that the name has must be allowed; the
connection then goes to an address that was judged, never to a second answer of the resolver. Surprising: the words of a
failure are few and fixed, because whatever they told of an inner host would be an answer to who asked for it.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from wasession_pod.addresses import Network, may_fetch
from wasession_pod.web.client import Answer, request
from wasession_pod.web.wire import TooLargeError, WebError

MAX_REDIRECTS = 5
MAX_URL = 4096
TRIES = 8  # addresses of one host
SECONDS = 60.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_host = re.compile(r"[0-9a-z_](?:[0-9a-z_.-]{0,252}[0-9a-z_])?\.?\Z|[0-9a-f:.]{2,45}\Z", re.IGNORECASE)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchError(Exception):
    """The file cannot be fetched, or must not be; the words may be shown to the caller."""


class Hop(NamedTuple):
    """One URL on the way; `host` without brackets, in ASCII."""

    url: str
    scheme: str
    host: str
    port: int


class Fetched(NamedTuple):
    """The file, and the name at the end of the URL's path, which may be empty."""

    data: bytes
    filename: str


class Request(Protocol):
    """How a request is made: `web.client.request`."""

    def __call__(self, method: str, url: str, /, *, seconds: float, max_bytes: int, address: str | None) -> Awaitable[Answer]:
        """Ask `url` at `address`. Raises WebError."""


def hop(url: str) -> Hop:
    """What `url` leads to. Raises FetchError unless it is http(s), without user and password."""
    if len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise FetchError(f"use an http or https URL of at most {MAX_URL} characters, percent-encoded")
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError):
        raise FetchError("is no URL") from None
    if scheme not in _DEFAULT_PORTS:
        raise FetchError("use http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise FetchError("must not hold a user or password")
    if not _host.match(host) or port == 0:
        raise FetchError("has no usable host")
    return Hop(parts._replace(fragment="").geturl(), scheme, host, port or _DEFAULT_PORTS[scheme])


def next_hop(before: Hop, location: str) -> Hop:
    """Where a redirect leads. Raises FetchError where it gives up encryption, or leads to what `hop` refuses."""
    try:
        after = hop(urljoin(before.url, location))
    except ValueError:
        raise FetchError("redirects to no URL") from None
    if (before.scheme, after.scheme) == ("https", "http"):
        raise FetchError("redirects from https to http")
    return after


def filename(url: str) -> str:
    """The last part of a URL's path, as a file name."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)[:255]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, IPv4 first, because clusters often have IPv6 names and no way there. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in sorted(found, key=lambda row: row[0] is not socket.AF_INET)]


class Fetcher:
    """Fetches files of at most `max_bytes`; `allowed`: networks that may be asked although they are not public."""

    def __init__(
        self,
        *,
        max_bytes: int,
        allowed: Sequence[Network] = (),
        request: Request = request,
        resolve: Resolve = resolve,
        seconds: float = SECONDS,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed = allowed
        self._request = request
        self._resolve = resolve
        self._seconds = seconds

    async def fetch(self, url: str) -> Fetched:
        """The file at `url`, redirects followed. Raises FetchError."""
        try:
            async with asyncio.timeout(self._seconds):
                return Fetched(await self._follow(hop(url)), filename(url))
        except TimeoutError:
            raise FetchError(f"was not fetched within {self._seconds:g} s") from None

    async def _follow(self, at: Hop) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(at)
            location = answer.headers.get("location")
            if answer.status not in REDIRECTS or not location:
                if answer.status != 200:  # noqa: PLR2004  HTTP
                    raise FetchError(f"status {answer.status}")
                if not answer.body:
                    raise FetchError("is an empty file")
                return answer.body
            at = next_hop(at, location)
        raise FetchError(f"redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, at: Hop) -> Answer:
        """The answer of the first address that gives one."""
        try:
            found = await self._resolve(at.host, at.port)
        except (OSError, UnicodeError):
            raise FetchError("the host's name does not resolve") from None
        if not found or not all(may_fetch(address, self._allowed) for address in found):
            raise FetchError("address not allowed")
        for address in found[:TRIES]:
            try:
                return await self._request("GET", at.url, seconds=self._seconds, max_bytes=self._max_bytes, address=address)
            except TooLargeError:
                raise FetchError(f"too large: more than {self._max_bytes} bytes") from None
            except WebError:
                continue
        raise FetchError("the host does not answer")
