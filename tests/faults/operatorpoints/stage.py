"""The verbs of a story: what people do, and what they wait for. One stage is one namespace during one trial."""

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

from operatorpoints.api import CLAIMS, MERGE, PODS, SESSIONS, Api, Json, RefusedError, path
from operatorpoints.history import History
from operatorpoints.node import Node

_CONFLICT, _NOT_FOUND = 409, 404
_numbers = itertools.count(1)


class Stage:
    """`at_step` is called where the story is at rest; `next_template` starts an operator with another pod template.

    `at_moment` leads something that people do while the operator is held still, and remembers the moment after it.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        history: History,
        node: Node,
        *,
        at_step: Callable[[], Awaitable[None]],
        at_moment: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
        next_template: Callable[[], Awaitable[None]],
    ) -> None:
        self.node = node
        self.step, self.change_template = at_step, next_template
        self._at_moment = at_moment
        self._api, self._namespace, self._history = api, namespace, history
        self.volumes: list[str] = []
        """Cluster-wide objects that were made, by path."""

    # What people do.

    async def create(self, name: str, *, in_a_later_second: bool = False, **spec: object) -> None:
        """Create a session as soon as its name is free. The order of creation has whole seconds."""
        last = max((one["metadata"]["creationTimestamp"] for one in self._history.all(SESSIONS)), default="")
        body = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}
        while True:
            await self._history.until(lambda: self._session(name) is None, f"the name {name} is free")
            try:
                made = await self._api.call("POST", self._path(SESSIONS), body, dryRun="All") if in_a_later_second else {}
                if in_a_later_second and made["metadata"]["creationTimestamp"] == last:
                    continue
                made = await self._api.call("POST", self._path(SESSIONS), body)
            except RefusedError as error:
                if error.status != _CONFLICT:
                    raise
            else:
                await self._history.until(lambda: self._session(name) is not None, f"{name} is seen")
                return

    async def patch(self, name: str, **spec: object) -> None:
        """Change a session's spec."""
        await self._api.call("PATCH", self._path(SESSIONS, name), {"spec": spec}, content_type=MERGE)

    async def delete(self, name: str) -> None:
        """Ask for the session's deletion; wait until it is seen to be asked for."""
        await self._at_moment(lambda: self._delete(name))

    async def _delete(self, name: str) -> None:
        uid = (self._session(name) or {})["metadata"]["uid"]
        await self._api.call("DELETE", self._path(SESSIONS, name))

        def is_going() -> bool:
            meta = (self._session(name) or {}).get("metadata", {})
            return bool(meta.get("uid") != uid or "deletionTimestamp" in meta)

        await self._history.until(is_going, f"{name} is going")

    async def force_delete(self, name: str) -> None:
        """Delete it and take its finalizers off."""
        await self.delete(name)
        with suppress(RefusedError):
            await self._api.call("PATCH", self._path(SESSIONS, name), {"metadata": {"finalizers": []}}, content_type=MERGE)

    async def scan(self, name: str) -> None:
        """Scan the QR code that the session shows."""
        await self.until_phase(name, "AwaitingScan")
        claim = self._history.get(CLAIMS, f"{name}-data")
        assert claim
        self.node.linked.add(claim["metadata"]["uid"])
        pod = self._history.get(PODS, f"{name}-session")
        if pod and "deletionTimestamp" not in pod["metadata"]:
            await self.node.report(pod)
        await self.until_phase(name, "Connected")

    async def replace_pod(self, name: str, **spec: object) -> None:
        """Change the spec, and wait for the next pod."""
        old = (self._history.get(PODS, f"{name}-session") or {})["metadata"]["uid"]
        await self.patch(name, **spec)
        await self._history.until(lambda: (self._pod(name) or {}).get("metadata", {}).get("uid") not in {None, old}, f"{name}'s next pod")

    async def foreign_pod(self, name: str) -> None:
        """Somebody else's pod takes the name."""
        body = {"metadata": {"name": f"{name}-session"}, "spec": {"containers": [{"name": "theirs", "image": "theirs"}]}}
        await self._api.call("POST", self._path(PODS), body)

    async def remove_foreign_pod(self, name: str) -> None:
        """Somebody else's pod goes."""
        await self._api.call("DELETE", self._path(PODS, f"{name}-session"))

    async def volume_that_grows(self) -> str:
        """A volume of a storage class that allows it; returns the class's name."""
        kind = f"{self._namespace}-{next(_numbers)}"
        classes, volumes = "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/persistentvolumes"
        storage = {"metadata": {"name": kind}, "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": True}
        volume = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": kind,
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "example.com", "volumeHandle": kind},
        }
        await self._api.call("POST", classes, storage)
        await self._api.call("POST", volumes, {"metadata": {"name": kind}, "spec": volume})
        self.volumes += [f"{volumes}/{kind}", f"{classes}/{kind}"]
        return kind

    # What they wait for.

    async def until_phase(self, name: str, phase: str) -> None:
        """Until the session says so of what its spec now is."""

        def says_so() -> bool:
            session = self._session(name) or {}
            status = session.get("status", {})
            return bool(status.get("phase") == phase and status.get("observedGeneration") == session["metadata"]["generation"])

        await self._history.until(says_so, f"{name} {phase}")

    async def until_reason(self, name: str, condition: str, reason: str) -> None:
        """Until the condition has that reason."""
        await self._history.until(
            lambda: any(
                (one["type"], one["reason"]) == (condition, reason)
                for one in (self._session(name) or {}).get("status", {}).get("conditions", [])
            ),
            f"{name} {condition} {reason}",
        )

    async def until_gone(self, name: str) -> None:
        """Until the session is gone."""
        await self._history.until(lambda: self._session(name) is None, f"{name} is gone")

    async def until_no_pod(self, name: str) -> None:
        """Until its pod is gone."""
        await self._history.until(lambda: self._pod(name) is None, f"{name}'s pod is gone")

    async def until_nothing_is_left(self, name: str) -> None:
        """Until session, pod and volume are gone."""
        await self.until_gone(name)
        await self.until_no_pod(name)
        await self._history.until(lambda: self._claim(name) is None, f"{name}'s claim is gone")

    async def until_bound(self, name: str) -> None:
        """Until its claim has a volume."""
        await self._history.until(lambda: (self._claim(name) or {}).get("status", {}).get("phase") == "Bound", f"{name}'s claim is bound")

    async def until_size(self, name: str, size: str) -> None:
        """Until its claim asks for that much."""
        await self._history.until(
            lambda: (self._claim(name) or {})["spec"]["resources"]["requests"]["storage"] == size, f"{name}'s claim has {size}"
        )

    async def until_image(self, name: str, end: str) -> None:
        """Until its pod's image ends so."""
        await self._history.until(
            lambda: (pod := self._pod(name)) is not None and pod["spec"]["containers"][0]["image"].endswith(end), f"{name} has {end}"
        )

    # What is there.

    def _session(self, name: str) -> Json | None:
        return self._history.get(SESSIONS, name)

    def _pod(self, name: str) -> Json | None:
        return self._history.get(PODS, f"{name}-session")

    def _claim(self, name: str) -> Json | None:
        return self._history.get(CLAIMS, f"{name}-data")

    def _path(self, plural: str, name: str = "") -> str:
        return path(self._namespace, plural, name)


async def clear(api: Api, namespace: str, volumes: list[str]) -> None:
    """Remove all that a trial left, finalizers or not."""
    for plural in (SESSIONS, PODS, CLAIMS):
        for item in (await api.call("GET", path(namespace, plural)))["items"]:
            where = path(namespace, plural, item["metadata"]["name"])
            with suppress(RefusedError):
                await api.call("DELETE", where, {"gracePeriodSeconds": 0})
                if item["metadata"].get("finalizers"):
                    await api.call("PATCH", where, {"metadata": {"finalizers": []}}, content_type=MERGE)
    for where in volumes:
        with suppress(RefusedError):
            await api.call("DELETE", where)
    await api.call("DELETE", path(namespace, "events"))
    while any([(await api.call("GET", path(namespace, plural)))["items"] for plural in (SESSIONS, PODS, CLAIMS)]):
        pass
