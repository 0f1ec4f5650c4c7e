"""One life each: a session from its creation to its QR code, and a bare pod of the same image from its creation to its first answer.

Surprising: the bare pod is the session's own pod (the installation's template, as the operator reads it) with another command, so
that image, security context, volumes and service account are the same, and only what we add is not.
"""

import asyncio
import copy
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from warmstart import nodelog
from warmstart.api import SECONDS, Api, BenchError, Json
from warmstart.timeline import Marks

SESSIONS, PODS, CLAIMS = "apis/wasession.dev/v1alpha1/whatsappsessions", "api/v1/pods", "api/v1/persistentvolumeclaims"
EMULATOR = "services/wa-emulator:3900/proxy/log"
SERVE = ["python", "-u", "-m", "http.server", "8080"]
SERVES, SHOWS_QR = "Serving HTTP", "Código QR 1"


@dataclass(frozen=True)
class Lives:
    """Makes them, in one namespace in which the chart and the emulated WhatsApp are installed."""

    api: Api
    template: Json
    """The PodTemplateSpec of the installation."""
    node_logs: list[Path]

    @classmethod
    async def of(cls, api: Api, node_logs: list[Path]) -> "Lives":
        """Read the template from the cluster."""
        found = await api.call("GET", api.path("api/v1/configmaps", "wasession-pod-template"))
        if found is None:
            raise BenchError(f"no ConfigMap wasession-pod-template in namespace {api.namespace}: is the chart installed?")
        return cls(api, yaml.safe_load(next(iter(found["data"].values()))), node_logs)

    async def session(self, name: str, storage_class: str) -> Marks:
        """Create a session, wait for its QR code, delete it; the moments between."""
        api, thing, pod = self.api, f"whatsappsessions/{name}", f"{name}-session"
        since = (await self._emulator(0))["next"]
        spec = {"storage": {"storageClassName": storage_class}}
        body = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}
        marks = {"asked": _now()}
        await api.call("POST", api.path(SESSIONS), body)
        marks["seen"] = await api.first(thing, _qr, "showing a QR code")
        marks["stored"] = await api.first(thing, bool, "there")
        marks["finalizer"] = await api.first(thing, lambda one: one["metadata"].get("finalizers"), "given its finalizer")
        marks |= await self._claim(f"{name}-data")
        marks |= await self._pod(pod, SHOWS_QR, "QR code")
        for record in (await self._emulator(since))["records"]:
            if name_of := {"proxy_connect": "dialled", "register": "registered"}.get(record["kind"]):
                marks.setdefault(name_of, record["t"])
        await self._delete(SESSIONS, name)
        await api.first(f"pods/{pod}", _gone, "gone")
        return marks

    async def bare(self, name: str, storage_class: str | None) -> Marks:
        """Create a pod that only serves HTTP (and its claim, in one go), wait until it answers and is ready, delete it."""
        api, claim = self.api, f"{name}-data"
        spec = bare_spec(self.template["spec"], claim if storage_class else None)
        marks = {"asked": _now()}
        if storage_class:
            requests = {
                "accessModes": ["ReadWriteOncePod"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": storage_class,
            }
            await api.call("POST", api.path(CLAIMS), {"metadata": {"name": claim}, "spec": requests})
        await api.call("POST", api.path(PODS), {"metadata": {"name": name}, "spec": spec})
        marks["ready"] = await api.first(f"pods/{name}", _ready, "ready")
        if storage_class:
            marks |= await self._claim(claim)
        marks |= await self._pod(name, SERVES, "answers")
        await self._delete(PODS, name, gracePeriodSeconds="0")
        await api.first(f"pods/{name}", _gone, "gone")
        if storage_class:
            await self._delete(CLAIMS, claim)
        return marks

    async def _claim(self, name: str) -> dict[str, float]:
        thing = f"persistentvolumeclaims/{name}"
        bound = await self.api.first(thing, lambda one: one["status"].get("phase") == "Bound", "bound")
        return {"claim": await self.api.first(thing, bool, "there"), "bound": bound}

    async def _pod(self, name: str, line: str, called: str) -> dict[str, float]:
        thing = f"pods/{name}"
        marks = {
            "pod": await self.api.first(thing, bool, "there"),
            "scheduled": await self.api.first(thing, lambda one: one["spec"].get("nodeName"), "scheduled"),
            called: await self._said(name, line),
        }
        return marks | await asyncio.to_thread(nodelog.moments, self.node_logs, name)

    async def _said(self, pod: str, words: str) -> float:
        """When the pod printed a line with these words, by the container runtime's clock."""
        async with asyncio.timeout(SECONDS):
            while True:
                text = await self.api.text("GET", self.api.path(PODS, f"{pod}/log"), timestamps="true")
                for line in (text or "").splitlines():
                    moment, _, said = line.partition(" ")
                    if words in said:
                        return datetime.fromisoformat(moment).timestamp()
                await asyncio.sleep(0.05)

    async def _emulator(self, since: int) -> Json:
        answer = await self.api.call("GET", f"/api/v1/namespaces/{self.api.namespace}/{EMULATOR}", since=str(since))
        if answer is None:
            raise BenchError("the emulated WhatsApp is not installed here")
        return answer

    async def _delete(self, kind: str, name: str, **options: str) -> None:
        await self.api.call("DELETE", self.api.path(kind, name), **options)
        await self.api.first(f"{kind.rpartition('/')[2]}/{name}", _gone, "gone")


def bare_spec(template: Json, claim: str | None) -> Json:
    """The pod spec of the session's template with a command that only serves HTTP; `data` is the claim, or an empty directory."""
    spec: Json = copy.deepcopy(template)
    data: Any = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    spec["volumes"] = [{"name": "data", **data}, *spec.get("volumes", [])]
    for container in spec["containers"]:
        if container["name"] == "session":
            container["command"] = SERVE
            container["workingDir"] = "/tmp"  # noqa: S108  the pod's own
            probes = ("startupProbe", "readinessProbe", "livenessProbe")
            for probe in probes:
                container[probe]["httpGet"]["path"] = "/"
    return json.loads(json.dumps(spec))  # type: ignore[no-any-return]


def _now() -> float:
    return datetime.now().astimezone().timestamp()


def _qr(session: Json) -> bool:
    return bool(((session.get("status") or {}).get("session") or {}).get("qr"))


def _ready(pod: Json) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in pod["status"].get("conditions", []))


def _gone(thing: Json) -> bool:
    return bool(thing.get("gone"))
