"""The only module that talks to the API server: lists, creates, patches, deletes, the status, events.

Surprising: pods and claims are created by POST, not by server-side apply. The API server then refuses a name that is
taken, whereas an apply would write into somebody else's pod. Answers are decoded from raw bytes into views by msgspec; the
generated client's models of 10,000 pods would cost most of a start.
"""

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from wasession_contract import names
from wasession_contract.v1alpha1 import API_VERSION, KIND, PLURAL, SESSION_LABEL, Status, WhatsAppSession, decode
from wasession_operator.errors import RetryableError, SettingError, StaleError, TerminalError
from wasession_operator.resources import Manifest
from wasession_operator.scenarios import EventType
from wasession_operator.secrecy import without_secrets
from wasession_operator.store import SessionView
from wasession_operator.views import ClaimView, Key, PodView, claim_view, pod_view

FIELD_MANAGER = "wasession-operator"
APPLY, MERGE, JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json"
TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
CONNECTIONS = 32
PAGE = 500  # client-go's page size
HTTP_ERROR, HTTP_UNAUTHORIZED, HTTP_NOT_FOUND, HTTP_CONFLICT, HTTP_GONE, HTTP_TOO_MANY, HTTP_SERVER = 400, 401, 404, 409, 410, 429, 500

PODS, CLAIMS = "pods", "persistentvolumeclaims"
_T = TypeVar("_T")

Meter = Callable[[str, str, str, float], None]
"""`(verb, resource, code, seconds)` of a request; the code is `none` where no answer came."""
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


class _ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = "0"
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, frozen=True):
    metadata: _ListMetadata
    items: list[msgspec.Raw]


class _Refusal(msgspec.Struct, frozen=True):
    message: str = ""


_page = msgspec.json.Decoder(_Page)
_refusal = msgspec.json.Decoder(_Refusal)


class Cluster:
    """The API server. `open` first."""

    def __init__(self, api: client.ApiClient, meter: Meter) -> None:
        self._api = api
        self._meter = meter
        self._configuration = api.configuration
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=api.rest_client.ssl_context),
            timeout=TIMEOUT,
            trust_env=False,  # else aiohttp asks two threads for each request, for a proxy and for .netrc
        )

    @classmethod
    async def open(cls, meter: Meter = lambda *_: None) -> "Cluster":
        """Connect as the pod's ServiceAccount, or by KUBECONFIG outside a cluster. Raises SettingError."""
        configuration = client.Configuration()
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise SettingError(f"KUBECONFIG={os.environ.get('KUBECONFIG', '')!r}: cannot be used: {error}") from error
        configuration.retries = False  # the work queue tries again, with its own back-off
        return cls(client.ApiClient(configuration), meter)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._api.close()  # type: ignore[no-untyped-call]

    # Lists: everything of ours in the given namespaces (none: all), with the version that the list is as of.

    async def sessions(self, namespace: str | None) -> tuple[list[SessionView], int]:
        """All sessions that can be read."""
        return await self._list(_path(f"apis/{API_VERSION}", namespace, PLURAL), lambda raw: SessionView.of(decode(raw)))

    async def pods(self, namespace: str | None) -> tuple[list[PodView], int]:
        """All pods with the session label."""
        return await self._list(_path("api/v1", namespace, PODS), lambda raw: pod_view(bytes(raw)), SESSION_LABEL)

    async def claims(self, namespace: str | None) -> tuple[list[ClaimView], int]:
        """All claims with the session label."""
        return await self._list(_path("api/v1", namespace, CLAIMS), lambda raw: claim_view(bytes(raw)), SESSION_LABEL)

    async def _list(self, path: str, view: Callable[[msgspec.Raw], _T | None], label: str = "") -> tuple[list[_T], int]:
        found: list[_T] = []
        more = ""
        while True:
            query = [("limit", PAGE), *([("labelSelector", label)] if label else []), *([("continue", more)] if more else [])]
            page = _page.decode(await self._call("GET", path, query))
            found += [one for raw in page.items if (one := view(raw)) is not None]
            more = page.metadata.continue_
            if not more:
                return found, int(page.metadata.resource_version)

    # Pods and claims. `None`: there is no such object (any more).

    async def create_pod(self, manifest: Manifest) -> PodView | None:
        """Create it. Raises StaleError if the name is taken."""
        return pod_view(await self._create(PODS, manifest))

    async def create_claim(self, manifest: Manifest) -> ClaimView | None:
        """Create it. Raises StaleError if the name is taken."""
        return claim_view(await self._create(CLAIMS, manifest))

    async def pod(self, key: Key) -> PodView | None:
        """The pod as it is now."""
        raw = await self._unless_gone("GET", _path("api/v1", key.namespace, PODS, names.pod_name(key.name)))
        return pod_view(raw) if raw else None

    async def claim(self, key: Key) -> ClaimView | None:
        """The claim as it is now."""
        raw = await self._unless_gone("GET", _path("api/v1", key.namespace, CLAIMS, names.claim_name(key.name)))
        return claim_view(raw) if raw else None

    async def session(self, key: Key) -> SessionView | None:
        """The session as it is now."""
        raw = await self._unless_gone("GET", _path(f"apis/{API_VERSION}", key.namespace, PLURAL, key.name))
        return SessionView.of(decode(raw)) if raw else None

    async def delete_pod(self, key: Key, uid: str) -> None:
        """Delete the pod `uid`. Raises StaleError if it is another one or gone."""
        await self._delete(_path("api/v1", key.namespace, PODS, names.pod_name(key.name)), uid)

    async def delete_claim(self, key: Key, uid: str) -> None:
        """Delete the claim `uid`. Raises StaleError if it is another one or gone."""
        await self._delete(_path("api/v1", key.namespace, CLAIMS, names.claim_name(key.name)), uid)

    async def patch_claim(self, key: Key, uid: str, *, size: str | None, owners: list[Manifest] | None) -> ClaimView | None:
        """Let the claim `uid` grow, and set its owners. Raises StaleError if it is another one or gone."""
        patch: Manifest = {"metadata": {"uid": uid}}
        if owners is not None:
            patch["metadata"]["ownerReferences"] = owners
        if size is not None:
            patch["spec"] = {"resources": {"requests": {"storage": size}}}
        path = _path("api/v1", key.namespace, CLAIMS, names.claim_name(key.name))
        return claim_view(await self._call("PATCH", path, body=patch, content_type=MERGE))

    # The session itself: its finalizers and status, never its spec.

    async def set_finalizers(self, session: WhatsAppSession, finalizers: Iterable[str]) -> SessionView:
        """Replace the finalizers. Raises StaleError if the object changed meanwhile."""
        meta = session.metadata
        patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": list(finalizers)}}
        raw = await self._call("PATCH", _session_path(meta.namespace, meta.name), body=patch, content_type=MERGE)
        return SessionView.of(decode(raw))

    async def apply_status(self, session: WhatsAppSession, status: Status) -> SessionView:
        """Write `status`, which has no `session`: that is the pod's, and stays so because it is not applied."""
        meta = session.metadata
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "status": _without_nulls(msgspec.to_builtins(status)),
        }
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        path = _session_path(meta.namespace, meta.name) + "/status"
        return SessionView.of(decode(await self._call("PATCH", path, query, body=body, content_type=APPLY)))

    async def delete_session(self, session: WhatsAppSession) -> None:
        """Delete this very object. Raises StaleError if it is another one or gone."""
        await self._delete(_session_path(session.metadata.namespace, session.metadata.name), session.metadata.uid)

    async def post_event(self, session: WhatsAppSession, kind: EventType, reason: str, message: str, once: str = "") -> None:
        """Post a Kubernetes event about `session`. Raises StaleError if there is one with the same `once` already."""
        meta = session.metadata
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        about = {"apiVersion": API_VERSION, "kind": KIND, "namespace": meta.namespace, "name": meta.name, "uid": meta.uid}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": meta.namespace} | ({"name": f"{meta.name}.{once}"} if once else {"generateName": f"{meta.name}."}),
            "involvedObject": about,
            "type": kind.value,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": FIELD_MANAGER},
            "firstTimestamp": now[:19] + "Z",
            "lastTimestamp": now[:19] + "Z",
            "count": 1,
        }
        await self._call("POST", _path("api/v1", meta.namespace, "events"), body=body)

    # The wire.

    async def _create(self, plural: str, manifest: Manifest) -> bytes:
        path = _path("api/v1", manifest["metadata"]["namespace"], plural)
        return await self._call("POST", path, [("fieldManager", FIELD_MANAGER)], body=manifest)

    async def _delete(self, path: str, uid: str) -> None:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        await self._call("DELETE", path, body=options)

    async def _unless_gone(self, method: str, path: str) -> bytes | None:
        try:
            return await self._call(method, path)
        except _NotFoundError:
            return None

    async def _call(
        self, method: str, path: str, query: list[tuple[str, Any]] | None = None, *, body: object = None, content_type: str = JSON
    ) -> bytes:
        """One request; raises RetryableError (StaleError among them) or TerminalError."""
        headers = {"Accept": JSON, "Content-Type": content_type}
        began, code = time.monotonic(), "none"
        try:
            await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
            async with self._http.request(
                method,
                self._configuration.host + path,
                params=query,
                data=None if body is None else msgspec.json.encode(body),
                headers=headers,
                proxy=self._configuration.proxy,
                server_hostname=self._configuration.tls_server_name,
            ) as response:
                raw = await response.read()
            code = str(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryableError(f"{method} {path}: the API server does not answer: {type(error).__name__}: {error}") from error
        finally:
            self._meter(*_verb_and_resource(method, path), code, time.monotonic() - began)
        if response.status >= HTTP_ERROR:
            raise _error(f"{method} {path}", response, raw)
        return raw


class _NotFoundError(StaleError):
    """404."""


def _error(what: str, response: aiohttp.ClientResponse, raw: bytes) -> RetryableError | TerminalError:
    try:
        said = _refusal.decode(raw).message
    except msgspec.DecodeError:
        said = raw[:200].decode(errors="replace")
    said = without_secrets(said)  # it ends in conditions and events, too
    status = response.status
    if status == HTTP_NOT_FOUND:
        return _NotFoundError(f"{what}: {said}")
    if status in {HTTP_CONFLICT, HTTP_GONE}:
        return StaleError(f"{what}: {said}")
    if status in {HTTP_UNAUTHORIZED, HTTP_TOO_MANY} or status >= HTTP_SERVER:
        wait = response.headers.get("Retry-After", "")
        return RetryableError(f"{what}: {status} {said}", float(wait) if wait.isdigit() else None)
    return TerminalError(said or f"{what}: {status}")


def _verb_and_resource(method: str, path: str) -> tuple[str, str]:
    """As RBAC names them, of a path that `_path` made: `GET /api/v1/namespaces/a/pods` is `list`, `pods`."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    resource, *name = parts[2:] if parts[0] == "namespaces" else parts
    subresource = f"/{name[1]}" if len(name) > 1 else ""
    return _VERBS.get(method) or ("get" if name else "list"), resource + subresource


def _path(api: str, namespace: str | None, plural: str, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/{api}{scope}/{plural}" + (f"/{name}" if name else "")


def _session_path(namespace: str, name: str) -> str:
    return _path(f"apis/{API_VERSION}", namespace, PLURAL, name)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401  JSON
    """An applied null would be refused by the schema; a field that is left out is given up, which is what is meant."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list | tuple) else value
