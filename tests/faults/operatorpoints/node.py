"""Stands in for a node's kubelet and for the session pods on it.

A volume remembers its device, as the real one does: a pod on a linked volume reports Connected, on any other that it awaits
a scan. So a session that lost its volume is seen by its state.
"""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Self

from aiohttp import web
from operator_support import KEY, running

from operatorpoints.api import CLAIMS, MERGE, PODS, SESSIONS, Api, Json, RefusedError, path
from operatorpoints.history import Change, History
from wasession_contract import podwire
from wasession_contract.v1alpha1 import SESSION_LABEL

_TRIES = 8
_NUMBER = "573001234567"
_ADDRESSES = 250


class Node:
    """One node for one namespace; `changed` is to be told of each change."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.linked: set[str] = set()
        """Uids of claims whose volume holds a linked device."""
        self.logout_answer = 200
        self.logouts = 0
        """Calls that were answered."""
        self._api, self._namespace = api, namespace
        self._begun: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._history: History | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._logout), shutdown_timeout=0.1)
        await self._runner.setup()
        listener = _own_address()
        self.ip: str = listener.getsockname()[0]
        await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()

    def look_at(self, history: History) -> None:
        """Where volumes and sessions are seen."""
        self._history = history

    def changed(self, change: Change) -> None:
        """Do what a kubelet and a session pod do then."""
        if change.plural != PODS or change.type == "DELETED" or SESSION_LABEL not in change.meta.get("labels", {}):
            return
        pod, uid = change.object, change.meta["uid"]
        if change.meta.get("deletionTimestamp"):
            self._once(uid, "let go", self._let_go(pod))
        elif not pod["spec"].get("nodeName"):
            self._once(uid, "bind", self._bind(pod))
        elif not pod["status"].get("containerStatuses"):
            self._once(uid, "start", self._start(pod))
        else:
            self._once(uid, "report", self.report(pod))

    async def report(self, pod: Json) -> None:
        """What the session pod says of itself, by its volume."""
        assert self._history
        history, name = self._history, pod["metadata"]["labels"][SESSION_LABEL]
        claim = next(volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume)
        await history.until(lambda: history.get(CLAIMS, claim), f"the claim {claim}")
        found = history.get(CLAIMS, claim) or {}
        linked = found["metadata"]["uid"] in self.linked
        facts = {"number": _NUMBER, "jid": f"{_NUMBER}@s.whatsapp.net"} if linked else {"number": None, "jid": None}
        await self._report(name, pod, state="Connected" if linked else "AwaitingScan", **facts)

    async def _report(self, name: str, pod: Json, **facts: str | None) -> None:
        report = {"podUID": pod["metadata"]["uid"], "reportedAt": "2026-01-01T00:00:00Z"} | facts
        where = path(self._namespace, SESSIONS, name, "status")
        await self._patiently("PATCH", where, {"status": {"session": report}}, content_type=MERGE, fieldManager="session-pod")

    def _once(self, uid: str, what: str, work: Coroutine[None, None, None]) -> None:
        if (uid, what) in self._begun:
            work.close()
            return
        self._begun.add((uid, what))
        self._do(work)

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, pod: Json) -> None:
        name = pod["metadata"]["name"]
        binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "node-1"}}
        await self._patiently("POST", path(self._namespace, PODS, name, "binding"), binding)

    async def _start(self, pod: Json) -> None:
        where = path(self._namespace, PODS, pod["metadata"]["name"], "status")
        await self._patiently("PATCH", where, {"status": running(self.ip)}, content_type=MERGE)

    async def _let_go(self, pod: Json) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._patiently("DELETE", path(self._namespace, PODS, pod["metadata"]["name"]), options)

    async def _patiently(self, method: str, where: str, body: Json, content_type: str = "application/json", **query: str) -> None:
        """An object that changed or went meanwhile is the next event's matter."""
        for _ in range(_TRIES):
            try:
                await self._api.call(method, where, body, content_type=content_type, **query)
            except RefusedError as error:
                if error.status == web.HTTPNotFound.status_code:
                    return
            else:
                return

    async def _logout(self, request: web.BaseRequest) -> web.Response:
        """`POST /v1/logout`: the device is unlinked; the report of it follows the answer, as the real pod's does."""
        assert self._history
        self.logouts += 1
        if self.logout_answer != web.HTTPOk.status_code:
            return web.Response(status=self.logout_answer)
        for session in self._history.all(SESSIONS):
            name, uid = session["metadata"]["name"], session["metadata"]["uid"]
            if request.headers.get("Authorization") != f"Bearer {podwire.token(KEY.encode(), uid)}":
                continue
            claim, pod = self._history.get(CLAIMS, f"{name}-data"), self._history.get(PODS, f"{name}-session")
            if claim:
                self.linked.discard(claim["metadata"]["uid"])
            if pod:
                self._do(self._report(name, pod, state="LoggedOut", number=None, jid=None))
            return web.Response(text="{}")
        return web.Response(status=401)


def _own_address() -> socket.socket:
    """A loopback address with the pods' port to itself."""
    for last in range(1, _ADDRESSES):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind((f"127.0.77.{last}", podwire.PORT))
            listener.listen()
            return listener
        listener.close()
    raise OSError(f"no address in 127.0.77.0/24 has port {podwire.PORT} free")
