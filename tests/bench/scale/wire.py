"""The minimal client: HTTP to the API server, and nothing else. It creates what is measured, watches, and is itself the raw anchor."""

import asyncio
import base64
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import aiohttp
import msgspec
import yaml

CONNECTIONS = 32  # as many as the operator's
JSON, MERGE = "application/json", "application/merge-patch+json"
Request = tuple[str, bytes]
"""Path and body of a POST."""


class Meta(msgspec.Struct, rename="camel"):
    """What of an object's metadata the bench looks at."""

    name: str
    resource_version: str = ""
    deletion_timestamp: str | None = None


class Thing(msgspec.Struct):
    """Any object."""

    metadata: Meta


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: Thing


class Counts(msgspec.Struct, frozen=True):
    """Requests that the API server answered, by (verb, resource, subresource)."""

    by: Counter[tuple[str, str, str]]

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.by - other.by)

    def total(self, *, resources: Sequence[str], verbs: Sequence[str]) -> float:
        """How many of these."""
        return sum(number for (verb, resource, _), number in self.by.items() if resource in resources and verb in verbs)


class Wire:
    """Use as an asynchronous context."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
        self._base, self._ssl = cluster["server"], context

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._ssl, limit=0)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def call(self, method: str, path: str, body: bytes | None = None, content_type: str = JSON) -> bytes:
        """One request. Raises RuntimeError when it is refused."""
        async with self._http.request(method, self._base + path, data=body, headers={"Content-Type": content_type}) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {raw[:300].decode(errors='replace')}")
            return raw

    async def create_all(self, chains: Sequence[Sequence[Request]]) -> None:
        """Create each chain's objects one after the other, and the chains side by side."""
        waiting = iter(chains)

        async def work() -> None:
            for chain in waiting:
                for path, body in chain:
                    await self.call("POST", path, body)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    async def watch(self, path: str, version: str = "") -> AsyncIterator[Event]:
        """Events from now on."""
        separator = "&" if "?" in path else "?"
        query = f"{separator}watch=true&resourceVersion={version}"
        decoder = msgspec.json.Decoder(Event)
        async with self._http.get(self._base + path + query) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield decoder.decode(line)

    async def version(self, path: str) -> str:
        """The version of a list as it is now."""
        separator = "&" if "?" in path else "?"
        return str(msgspec.json.decode(await self.call("GET", f"{path}{separator}limit=1"))["metadata"]["resourceVersion"])

    async def counts(self) -> Counts:
        """The API server's own count of requests."""
        text = (await self.call("GET", "/metrics")).decode()
        found: Counter[tuple[str, str, str]] = Counter()
        for line in text.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels, _, number = line.removeprefix("apiserver_request_total{").rpartition("} ")
                by = dict(part.split("=", 1) for part in labels.replace('"', "").split(","))
                found[by["verb"], by["resource"], by["subresource"]] += int(float(number))
        return Counts(found)
