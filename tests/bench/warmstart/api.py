"""The API server for the bench: plain HTTP by a kubeconfig, and watches that note when each version of an object arrived.

Surprising: nothing here reads a timestamp of Kubernetes, because those are whole seconds. A mark is the bench's own clock at
the moment at which the watch event was read.
"""

import asyncio
import base64
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Json = dict[str, Any]
SECONDS = 60.0  # within which anything here has to happen, so that a broken cluster ends the bench with words
LINE_BYTES = 2**22


class BenchError(Exception):
    """The cluster did not do what was waited for; the message says what."""


class Api:
    """One namespace of the cluster behind a kubeconfig with a client certificate, as devcluster's and kind's are."""

    def __init__(self, http: aiohttp.ClientSession, server: str, namespace: str) -> None:
        self._http = http
        self._server = server
        self.namespace = namespace
        self.seen: dict[str, list[tuple[float, Json]]] = {}
        """By `plural/name`: each version that a watch brought, with the Unix time of its arrival."""
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, kubeconfig: Path, namespace: str, *watched: str) -> AsyncIterator["Api"]:
        """Connect, and watch the kinds whose paths are given (`api/v1/pods`)."""
        document = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240  a small local file
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(connector=connector, trust_env=False, read_bufsize=LINE_BYTES) as http:
            api = cls(http, cluster["server"], namespace)
            versions = [(await api.call("GET", api.path(kind)) or {})["metadata"]["resourceVersion"] for kind in watched]
            watches = [asyncio.create_task(api._watch(kind, version)) for kind, version in zip(watched, versions, strict=True)]
            try:
                yield api
            finally:
                for watch in watches:
                    watch.cancel()
                await asyncio.gather(*watches, return_exceptions=True)

    def path(self, kind: str, name: str = "") -> str:
        """The path of a kind (`api/v1/pods`) in the namespace, or of one object."""
        group, _, plural = kind.rpartition("/")
        return f"/{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def call(self, method: str, path: str, body: object = None, **query: str) -> Json | None:
        """The answer as JSON; None for 404. Raises BenchError for any other refusal."""
        text = await self.text(method, path, body, **query)
        found: Json | None = None if text is None else json.loads(text)
        return found

    async def text(self, method: str, path: str, body: object = None, **query: str) -> str | None:
        """The answer as text; None for 404."""
        async with self._http.request(method, self._server + path, json=body, params=query) as answer:
            text = await answer.text()
            if answer.status == 404:
                return None
            if not answer.ok:
                raise BenchError(f"{method} {path}: {answer.status} {text}")
            return text

    async def _watch(self, kind: str, version: str) -> None:
        plural = kind.rpartition("/")[2]
        query = {"watch": "true", "resourceVersion": version}
        async with self._http.get(self._server + self.path(kind), params=query, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            async for line in answer.content:
                now = time.time()
                event = json.loads(line)
                if event["type"] == "DELETED":
                    event["object"]["gone"] = True
                self.seen.setdefault(f"{plural}/{event['object']['metadata']['name']}", []).append((now, event["object"]))
                self._news.set()

    async def first(self, thing: str, what: Callable[[Json], Any], words: str) -> float:
        """When `thing` (`pods/NAME`) first was so, waiting for it. Raises BenchError after SECONDS."""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    self._news.clear()
                    for moment, version in self.seen.get(thing, ()):
                        if what(version):
                            return moment
                    await self._news.wait()
        except TimeoutError:
            last = self.seen.get(thing, [(0, {})])[-1][1]
            raise BenchError(f"{thing}: waited {SECONDS:g} s until it was {words}; it is {json.dumps(last.get('status'))}") from None
