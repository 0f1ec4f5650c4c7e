"""The API server as the people, the node and the session pods of a trial see it: not through the fault proxy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from apiproxy.proxy import admin_access

Json = dict[str, Any]
GROUP = "/apis/wasession.dev/v1alpha1"
CORE = "/api/v1"
MERGE = "application/merge-patch+json"
SESSIONS, PODS, CLAIMS = "whatsappsessions", "pods", "persistentvolumeclaims"
_NOT_YET = 429  # "storage is (re)initializing", for a moment after a CRD is established
_PAUSE = 0.1  # seconds
_ROOT = {SESSIONS: GROUP}
_NO_END = aiohttp.ClientTimeout(total=None)
_READ_BUFFER = 4 * 1024**2


class RefusedError(Exception):
    """The API server said no; `status` is its answer."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.status = status


class Api:
    """A client as admin, shared by all trials."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._server, self._ssl = admin_access(kubeconfig)

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl, limit=0), trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **query: str) -> Json:
        """The answer. Raises RefusedError."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        async with self._http.request(method, self._server + path, data=data, params=query, headers=headers) as answer:
            raw = await answer.read()
            if not answer.ok:
                raise RefusedError(f"{method} {path}: {answer.status} {raw[:500].decode(errors='replace')}", answer.status)
            found: Json = msgspec.json.decode(raw)
            return found

    async def watch(self, path: str) -> AsyncIterator[Json]:
        """All that is there, as ADDED, and all that happens from then on. Ends only when it is cancelled.

        The API server ends the watches of custom resources when it builds their storage anew, soon after the CRD is established.
        """
        query = {"watch": "true"}
        while True:
            async with self._http.get(self._server + path, params=query, timeout=_NO_END, read_bufsize=_READ_BUFFER) as answer:
                if answer.status == _NOT_YET:
                    await asyncio.sleep(_PAUSE)
                    continue
                answer.raise_for_status()
                async for line in answer.content:
                    event = msgspec.json.decode(line)
                    query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                    yield event
            await asyncio.sleep(_PAUSE)


def path(namespace: str, plural: str, name: str = "", subresource: str = "") -> str:
    """The path of a resource."""
    parts = [f"{_ROOT.get(plural, CORE)}/namespaces/{namespace}/{plural}", name, subresource]
    return "/".join(part for part in parts if part)
