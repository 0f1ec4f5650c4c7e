"""Calls to session pods over HTTP, with the bearer token that belongs to one session alone.

Surprising: a pod's address is an IP that Kubernetes gives to another pod later. The token makes that harmless: another
session's pod does not accept it.
"""

import ipaddress
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from wasession_api.errors import PodError
from wasession_contract import podwire
from wasession_contract.podwire import Chat, Error, Message, SendRequest, SendResponse

SEND_SECONDS = 85.0  # the pod itself waits up to 75 s for WhatsApp's acknowledgement
READ_SECONDS = 15.0
CONNECT_SECONDS = 3.0
MAX_CONNECTIONS, MAX_CONNECTIONS_PER_POD = 512, 32
HTTP_OK = 200
T = TypeVar("T")

NO_ANSWER = "El pod de la sesión no responde; reintenta en unos segundos"
CUT = "La conexión con el pod de la sesión se cortó; no se sabe si el mensaje llegó"
LATE = "El pod de la sesión no respondió a tiempo; no se sabe si el mensaje llegó"


class Pods:
    """The session pods of one installation. `open` first."""

    def __init__(self, internal_key: bytes, port: int = podwire.PORT) -> None:
        self._key = internal_key
        self._port = port
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections."""
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, limit_per_host=MAX_CONNECTIONS_PER_POD)
        self._http = aiohttp.ClientSession(connector=connector)

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    async def send(self, ip: str, uid: str, request: SendRequest, idempotency_key: str | None = None) -> SendResponse:
        """Send a message; returns after WhatsApp accepted it. Raises PodError."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        body = msgspec.json.encode(request)
        return await self._call("POST", self._url(ip, "/v1/messages"), uid, SendResponse, seconds=SEND_SECONDS, data=body, headers=headers)

    async def chats(self, ip: str, uid: str) -> list[Chat]:
        """The chats that the pod knows. Raises PodError."""
        return await self._call("GET", self._url(ip, "/v1/chats"), uid, list[Chat])

    async def messages(self, ip: str, uid: str, chat: str, limit: int) -> list[Message]:
        """The newest `limit` messages of a chat, oldest first. Raises PodError."""
        path = f"/v1/chats/{quote(chat, safe='')}/messages?limit={limit}"
        return await self._call("GET", self._url(ip, path), uid, list[Message])

    async def _call(
        self,
        method: str,
        url: URL,
        uid: str,
        kind: type[T],
        *,
        seconds: float = READ_SECONDS,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        if self._http is None:
            raise PodError(None, NO_ANSWER, cause="not opened")
        bearer = {"Authorization": f"Bearer {podwire.token(self._key, uid)}", "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._http.request(method, url, data=data, headers={**(headers or {}), **bearer}, timeout=timeout) as response:
                return _read(response.status, await response.read(), kind)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise PodError(None, NO_ANSWER, cause=str(error)) from error
        except TimeoutError as error:
            raise PodError(None, LATE if data else NO_ANSWER, cause=f"no answer in {seconds:g} s") from error
        except aiohttp.ClientError as error:
            raise PodError(None, CUT if data else NO_ANSWER, cause=f"{type(error).__name__}: {error}") from error

    def _url(self, ip: str, path: str) -> URL:
        address = ipaddress.ip_address(ip)
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  IPv6
        return URL(f"http://{host}:{self._port}{path}", encoded=True)


def _read(status: int, body: bytes, kind: type[T]) -> T:
    try:
        if status == HTTP_OK:
            return msgspec.json.decode(body, type=kind)
        error = msgspec.json.decode(body, type=Error)
    except msgspec.DecodeError as problem:
        raise PodError(None, f"El pod de la sesión dio una respuesta ilegible ({status})", cause=str(problem)) from problem
    raise PodError(error.code, error.message, cause=f"{status} {error.code}: {error.message}")
