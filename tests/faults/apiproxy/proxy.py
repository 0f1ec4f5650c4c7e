"""The proxy's server. Surprising: it lives in one event loop, and its fields are plain, so that a thread may set them."""

import asyncio
import base64
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, assert_never

import aiohttp
import msgspec
import yaml
from aiohttp import web

from apiproxy.faults import Answer, Cut, Drop, EventFault, Expire, Hold, HoldEvent, Kill, RequestFault, Rule, When
from apiproxy.log import WRITES, Event, Request
from apiproxy.past import Snapshot, Target, status_object, target

_NOT_PASSED_ON = frozenset({"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "authorization"})
_JSON = "application/json"
_READ = aiohttp.ClientTimeout(total=60)
_WATCH = aiohttp.ClientTimeout(total=None)
_MAX_BODY = 8 * 1024**2


class _Meta(msgspec.Struct):
    name: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Object(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _WatchEvent(msgspec.Struct):
    type: str
    object: _Object


_event = msgspec.json.Decoder(_WatchEvent)


def admin_access(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Server and client credentials of a kubeconfig with embedded certificates."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
        pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
        pem.flush()
        context.load_cert_chain(pem.name)
    return cluster["server"], context


class ApiProxy:
    """One proxy. `kill` is called for `Kill`; it has to be prompt."""

    def __init__(self, kubeconfig: Path, kill: Callable[[], None] = lambda: None) -> None:
        self.kill = kill
        self.log: list[Request] = []
        """All requests, in the order in which they came."""
        self.events: list[Event] = []
        """All watch events, in the order in which they came from the API server."""
        self.at_write: dict[int, RequestFault] = {}
        self.at_event: dict[tuple[str, int], EventFault] = {}
        self.rules: list[Rule] = []
        self.away = False
        self.refused = 0
        self.fired = 0
        """Faults of `at_write`, `at_event` and `rules` that were done."""
        self.writes = 0
        self.server = ""
        """The URL for a kubeconfig."""
        self._upstream, self._ssl = admin_access(kubeconfig)
        self._past: Snapshot | None = None
        self._present = asyncio.Event()
        self._present.set()
        self._targets: dict[Target, None] = {}
        self._event_numbers: Counter[str] = Counter()
        self._transports: set[asyncio.Transport] = set()
        self._asking: set[asyncio.Task[web.Response]] = set()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self._ssl, limit=0)
        self._http = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=True)
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )  # 0 would be for ever
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.server = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cut()
        self._present.set()
        await self._runner.cleanup()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self._http.close()

    def write_kubeconfig(self, path: Path) -> None:
        """Write a kubeconfig whose server is this proxy and whose user is nobody."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": self.server}}],
            "users": [{"name": "proxy", "user": {"token": "unused"}}],
        }
        path.write_text(yaml.safe_dump(document))

    def cut(self) -> None:
        """Abort all connections now."""
        self._loop.call_soon_threadsafe(self._cut)

    async def record(self) -> Snapshot:
        """All lists that were ever asked for, as they are now."""
        return Snapshot({where: await self._list(where) for where in list(self._targets)})

    def record_now(self) -> Snapshot:
        """The same, from another thread."""
        return asyncio.run_coroutine_threadsafe(self.record(), self._loop).result(60)

    @property
    def past(self) -> Snapshot | None:
        """What lists are answered from; None: the present."""
        return self._past

    @past.setter
    def past(self, snapshot: Snapshot | None) -> None:
        self._past = snapshot
        self._loop.call_soon_threadsafe(self._present.clear if snapshot else self._present.set)

    def _cut(self) -> None:
        for transport in list(self._transports):
            transport.abort()

    async def _list(self, where: Target) -> bytes:
        path, labels, fields = where
        query = {name: value for name, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        async with self._http.get(self._upstream + path, params=query, headers={"Accept": _JSON}) as answer:
            return await answer.read()

    # One request.

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        transport = incoming.transport
        if transport is None:
            return web.Response()
        if self.away:
            self.refused += 1
            transport.abort()
            return web.Response()
        self._transports.add(transport)
        try:
            request = Request(incoming.method, incoming.path, dict(incoming.query), await incoming.read())
            self.log.append(request)
            if request.method in WRITES:
                self.writes += 1
                request.write = self.writes
            if request.is_list or request.is_watch:
                self._targets[target(request)] = None
            return await self._under(self._fault(request), request, incoming, transport)
        finally:
            self._transports.discard(transport)

    def _fault(self, request: Request) -> RequestFault | None:
        fault = self.at_write.pop(request.write, None) if request.write else None
        for rule in self.rules:
            fault = fault or rule.take(request)
        if fault is not None:
            self.fired += 1
            request.fault = str(fault)
        return fault

    async def _under(
        self, fault: RequestFault | None, request: Request, incoming: web.BaseRequest, transport: asyncio.Transport
    ) -> web.StreamResponse:
        match fault:
            case Answer():
                request.answered = fault.status
                retry = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                return web.Response(status=fault.status, headers=retry, body=status_object(fault.status, fault.reason), content_type=_JSON)
            case Kill(when) | Cut(when):
                if when is When.AFTER:
                    await self._ask(request, incoming)
                if isinstance(fault, Kill):
                    self.kill()
                transport.abort()
                return web.Response()
            case Hold() | None:
                if request.is_watch:
                    return await self._watch(request, incoming, transport)
                response = self._of_the_past(request) or await self._ask(request, incoming)
                if fault:
                    await fault.release.wait()
                request.answered = response.status
                return response
            case _:
                assert_never(fault)

    def _of_the_past(self, request: Request) -> web.Response | None:
        answer = self._past.answer(request) if self._past else None
        if answer is None:
            return None
        request.fault = "the past"
        return web.Response(status=answer[0], body=answer[1], content_type=_JSON)

    async def _ask(self, request: Request, incoming: web.BaseRequest) -> web.Response:
        """Ask the API server. What has begun goes on, even if the program that wanted it is gone."""
        asking = asyncio.create_task(self._ask_to_the_end(request, incoming))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asyncio.shield(asking)

    async def _ask_to_the_end(self, request: Request, incoming: web.BaseRequest) -> web.Response:
        try:
            async with self._http.request(
                request.method,
                self._upstream + incoming.raw_path,
                data=request.body or None,
                headers=_headers(incoming),
                timeout=_READ,
            ) as answer:
                body = await answer.read()
                request.status = answer.status
                kept = {name: answer.headers[name] for name in ("Retry-After", "Content-Type") if name in answer.headers}
                return web.Response(status=answer.status, headers=kept, body=body)
        except aiohttp.ClientError as error:
            return web.Response(status=502, body=status_object(502, type(error).__name__), content_type=_JSON)

    # One watch.

    async def _watch(self, request: Request, incoming: web.BaseRequest, transport: asyncio.Transport) -> web.StreamResponse:
        """The stream opens at once and tells nothing until the present is told."""
        if self._past is not None:
            request.fault = "the past"
        stream = web.StreamResponse(headers={"Content-Type": _JSON})
        try:
            await stream.prepare(incoming)
            await self._present.wait()
            async with self._http.get(
                self._upstream + incoming.raw_path, headers=_headers(incoming), timeout=_WATCH, read_bufsize=_MAX_BODY
            ) as answer:
                request.status = request.answered = answer.status
                if answer.status != web.HTTPOk.status_code:
                    await stream.write(b'{"type":"ERROR","object":' + await answer.read() + b"}\n")
                    return stream
                async for line in answer.content:
                    if transport.is_closing() or not await self._pass_on(line, request.plural, stream):
                        break
        except (aiohttp.ClientError, ConnectionError):
            transport.abort()
        return stream

    async def _pass_on(self, line: bytes, plural: str, stream: web.StreamResponse) -> bool:
        """One event of a stream; False: the stream ends here."""
        seen = _event.decode(line)
        if seen.type not in {"BOOKMARK", "ERROR"}:
            self._event_numbers[plural] += 1
            number = self._event_numbers[plural]
            event = Event(plural, number, seen.type, seen.object.metadata.name, seen.object.metadata.resource_version)
            fault = self.at_event.pop((plural, number), None)
            self.events.append(replace(event, fault=str(fault) if fault else ""))
            self.fired += fault is not None
            match fault:
                case Drop():
                    return True
                case Expire():
                    await stream.write(b'{"type":"ERROR","object":' + status_object(410, "Expired") + b"}\n")
                    return False
                case HoldEvent(release):
                    await release.wait()
                case None:
                    pass
                case _:
                    assert_never(fault)
        await stream.write(line)
        return True


def _headers(incoming: web.BaseRequest) -> dict[str, Any]:
    return {name: value for name, value in incoming.headers.items() if name.lower() not in _NOT_PASSED_ON}


@contextmanager
def running(kubeconfig: Path, kill: Callable[[], None] = lambda: None) -> Iterator[ApiProxy]:
    """A proxy in a thread with an event loop of its own."""
    started, ended = threading.Event(), asyncio.Event()
    holder: list[tuple[asyncio.AbstractEventLoop, ApiProxy]] = []

    async def serve() -> None:
        async with ApiProxy(kubeconfig, kill) as proxy:
            holder.append((asyncio.get_running_loop(), proxy))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="apiproxy")
    thread.start()
    try:
        assert started.wait(30), "the proxy did not start"
        _, proxy = holder[0]
        yield proxy
    finally:
        if holder:
            holder[0][0].call_soon_threadsafe(ended.set)
        thread.join()
