"""The only module that talks to Kubernetes: list, watch, create, patch, delete of WhatsAppSessions in one namespace.

Surprising: it takes the raw bytes from the client's transport and decodes them with msgspec; the generated client would
spend most of a start with 10,000 sessions on building models. An object that cannot be read is logged and left out, so
that one bad object does not hide the others.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from wasession_api.errors import ExpiredError, FacadeError, KubernetesRefusedError, KubernetesUnavailableError
from wasession_api.reflector import Bookmark, Change, Put, Removed
from wasession_api.settings import SettingError
from wasession_contract import v1alpha1
from wasession_contract.v1alpha1 import WhatsAppSession

log = logging.getLogger(__name__)
CALL_LIMITS = aiohttp.ClientTimeout(total=10, sock_connect=3)
WATCH_SECONDS = 300  # the server ends a watch then; client-go uses 5 to 10 minutes
SILENCE_SECONDS = 90  # bookmarks come about once a minute, so a longer silence is a dead connection
WATCH_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=SILENCE_SECONDS)
PAGE = 500  # client-go's page size
HTTP_ERROR, HTTP_NOT_FOUND, HTTP_CONFLICT, HTTP_GONE, HTTP_BUSY = 400, 404, 409, 410, 429
BUSY_RETRIES, LONGEST_RETRY_AFTER = 3, 2.0  # seconds; a caller waits


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    name: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Cause(msgspec.Struct, frozen=True):
    field: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[_Cause, ...] = ()


class _Anything(msgspec.Struct, frozen=True):
    """The part that objects, lists, bookmarks and errors share."""

    metadata: _Version = _Version()
    code: int = 0
    message: str = ""
    details: _Details = _Details()


class _Page(msgspec.Struct, frozen=True):
    metadata: _Version
    items: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_anything = msgspec.json.Decoder(_Anything)
_page = msgspec.json.Decoder(_Page)
_event = msgspec.json.Decoder(_Event)


def _readable(raw: bytes) -> WhatsAppSession | None:
    try:
        return v1alpha1.decode(raw)
    except msgspec.ValidationError as error:
        log.error("❌ Un objeto WhatsAppSession no se puede leer y se ignora: %s", error)  # noqa: TRY400  the message says all
        return None


class Cluster:
    """The WhatsAppSessions of one namespace. `open` first."""

    def __init__(self, namespace: str) -> None:
        self._path = f"/apis/{v1alpha1.API_VERSION}/namespaces/{namespace}/{v1alpha1.PLURAL}"
        self._api: client.ApiClient | None = None

    async def open(self) -> None:
        """Read where the API server is: inside a pod its ServiceAccount, else KUBECONFIG. Raises SettingError."""
        configuration = client.Configuration()
        kubeconfig = os.environ.get("KUBECONFIG")
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and not kubeconfig:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise SettingError(f"KUBECONFIG={kubeconfig or ''!r}: cannot be used: {error}") from error
        configuration.retries = False
        self._api = client.ApiClient(configuration)
        self._api.user_agent = "wasession-api"

    async def close(self) -> None:
        """Close all connections."""
        if self._api is not None:
            await self._api.close()  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, Any]] | None = None,
        *,
        body: object = None,
        content_type: str = "application/json",
        limits: aiohttp.ClientTimeout = CALL_LIMITS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; raises KubernetesUnavailableError or KubernetesRefusedError, also for what fails while its answer is read."""
        if self._api is None:
            raise KubernetesUnavailableError("not opened")
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = await self._api.param_serialize(
                method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            async with await self._answer(self._api, request, limits) as response:
                if response.status >= HTTP_ERROR:
                    raise _refusal(response.status, await response.read())
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubernetesUnavailableError(f"{type(error).__name__}: {error}") from error

    async def _answer(self, api: Any, request: tuple[Any, ...], limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:  # noqa: ANN401  the client has no types
        """The response. A server that is busy (429) has done nothing yet and is asked again, as client-go does."""
        for _ in range(BUSY_RETRIES):
            response: aiohttp.ClientResponse = (await api.call_api(*request, _request_timeout=limits)).response
            if response.status != HTTP_BUSY:
                return response
            response.release()
            await asyncio.sleep(min(_retry_after(response), LONGEST_RETRY_AFTER))
        last: aiohttp.ClientResponse = (await api.call_api(*request, _request_timeout=limits)).response
        return last

    async def list_all(self) -> tuple[list[WhatsAppSession], str]:
        """All objects and the list's resource version, page by page."""
        found: list[WhatsAppSession] = []
        more = ""
        while True:
            query = [("limit", PAGE)] + ([("continue", more)] if more else [])
            async with self._call("GET", self._path, query) as response:
                page = _page.decode(await response.read())
            found += [session for raw in page.items if (session := _readable(raw)) is not None]
            more = page.metadata.continue_
            if not more:
                return found, page.metadata.resource_version

    async def watch(self, version: str) -> AsyncIterator[Change]:
        """Changes since `version`, until the server ends the call."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", WATCH_SECONDS),
        ]
        async with self._call("GET", self._path, query, limits=WATCH_LIMITS) as response:
            async for line in response.content:
                if (change := _change(line)) is not None:
                    yield change

    async def create(self, body: dict[str, Any]) -> WhatsAppSession:
        """Create an object."""
        async with self._call("POST", self._path, [("fieldManager", "wasession-api")], body=body) as response:
            return v1alpha1.decode(await response.read())

    async def get(self, name: str) -> WhatsAppSession | None:
        """Read an object from the API server itself; None if there is none."""
        try:
            async with self._call("GET", f"{self._path}/{name}") as response:
                return v1alpha1.decode(await response.read())
        except KubernetesRefusedError as error:
            if error.status == HTTP_NOT_FOUND:
                return None
            raise

    async def patch(self, name: str, uid: str, change: dict[str, Any]) -> WhatsAppSession:
        """Merge `change` into the object, if it is still the one with this uid (409 otherwise)."""
        body = {**change, "metadata": {"uid": uid}}
        query = [("fieldManager", "wasession-api")]
        call = self._call("PATCH", f"{self._path}/{name}", query, body=body, content_type="application/merge-patch+json")
        async with call as response:
            return v1alpha1.decode(await response.read())

    async def delete(self, name: str, uid: str) -> None:
        """Delete the object with this uid (409 if another has its name); one that is gone already is fine."""
        try:
            async with self._call("DELETE", f"{self._path}/{name}", body={"preconditions": {"uid": uid}}) as response:
                await response.read()
        except KubernetesRefusedError as error:
            if error.status != HTTP_NOT_FOUND:
                raise


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds, from the header; the API server sends whole ones."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 1.0


def _refusal(status: int, body: bytes) -> FacadeError:
    if status == HTTP_GONE:
        return ExpiredError()
    try:
        answer = _anything.decode(body)
    except msgspec.DecodeError:
        return KubernetesRefusedError(status, body[:200].decode(errors="replace"))
    if any(cause.field == "metadata.uid" for cause in answer.details.causes):
        status = HTTP_CONFLICT  # a patch for an object that another one has replaced is refused as 422, a deletion as 409
    return KubernetesRefusedError(status, answer.message)


def _change(line: bytes) -> Change | None:
    event = _event.decode(line)
    about = _anything.decode(event.object)
    match event.type:
        case "ERROR":
            raise ExpiredError if about.code == HTTP_GONE else KubernetesRefusedError(about.code, about.message)
        case "BOOKMARK":
            return Bookmark(about.metadata.resource_version)
        case "DELETED":
            return Removed(about.metadata.name, about.metadata.resource_version)
        case _:
            session = _readable(event.object)
            return Bookmark(about.metadata.resource_version) if session is None else Put(session, about.metadata.resource_version)
