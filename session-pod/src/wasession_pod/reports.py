"""Reports: `status.session` of the session's object, as merge patches straight to the API server.

Surprising: only facts that changed are worth a write. Changes within 10 ms make one patch; a new `lastActivity` or
backlog alone is written at most once a minute; while the API server is away only the newest report is kept and tried
again with back-off. The token is read anew for every request, because the kubelet renews it, and the CA is the
cluster's alone: `SSL_CERT_FILE` and proxies of the environment are for WhatsApp.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import msgspec

from wasession_contract.v1alpha1 import GROUP, PLURAL, VERSION, BackendReport, SessionReport
from wasession_pod.logs import SessionLog
from wasession_pod.web.client import Channel
from wasession_pod.web.wire import WebError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
COALESCE_SECONDS = 0.01  # one event makes several changes; longer, and the QR code would wait
MINOR_SECONDS = 60.0
REQUEST_SECONDS = 10.0
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0
MAX_WISH_SECONDS = 120
USELESS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
MINOR_JITTER = 0.25  # of the time that activity waits, so that the pods of an installation do not write at once


class ReportError(Exception):
    """The API server is away (`status` None) or refuses the patch; `retry_after`: its own wish, in seconds."""

    def __init__(self, message: str, status: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def wait_after(error: ReportError, failures: int, jitter: float) -> float:
    """Seconds to wait after the so-manieth failure in a row; `jitter` (0 to 1) takes up to a half, but not of a wish of the API server.

    404 (the object is gone, and this pod soon is too) and 403 (a right is missing) will not be mended by haste.
    """
    if error.retry_after is not None:
        return min(error.retry_after, MAX_WISH_SECONDS) + jitter
    hopeless = error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
    delay = MAX_DELAY_SECONDS if hopeless else min(FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 10), MAX_DELAY_SECONDS)
    return delay * (1 - jitter / 2)


class ApiServer:
    """Patches one object's status. `directory` holds the ServiceAccount's `token` and `ca.crt`."""

    def __init__(self, base: str, namespace: str, name: str, directory: Path = SERVICE_ACCOUNT) -> None:
        self._url = f"{base}/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}/status"
        self._directory = directory
        self._channel: Channel | None = None

    async def patch(self, report: SessionReport) -> None:
        """Write the report. Raises ReportError."""
        body = msgspec.json.encode({"status": {"session": report}})
        try:
            token = (self._directory / "token").read_text().strip()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
            answer = await self._open().request("PATCH", self._url, headers=headers, body=body, seconds=REQUEST_SECONDS)
        except (WebError, OSError) as error:
            self.close()  # a CA that was renewed is read again
            raise ReportError(str(error) or type(error).__name__) from None
        if answer.status >= 300:  # noqa: PLR2004  HTTP
            wish = answer.headers.get("retry-after", "")
            words = f"{answer.status} {answer.body[:300].decode(errors='replace')}"
            raise ReportError(words, answer.status, int(wish) if wish.isascii() and wish.isdigit() else None)

    def close(self) -> None:
        """Close the connection."""
        if self._channel:
            self._channel.close()
            self._channel = None

    def _open(self) -> Channel:
        if self._channel is None:
            ca = self._directory / "ca.crt"
            self._channel = Channel(tls=ssl.create_default_context(cafile=str(ca)) if self._url.startswith("https:") else None)
        return self._channel


def api_server_url(environ: Mapping[str, str]) -> str | None:
    """The API server's address as every pod is given it; None outside a cluster."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def major(report: SessionReport) -> SessionReport:
    """The report without what may wait a minute."""
    backend = BackendReport(state=report.backend.state)
    return msgspec.structs.replace(report, reported_at=datetime.fromtimestamp(0, UTC), last_activity=None, backend=backend)


class Reporter:
    """Brings the newest report that `update` was given to the API server."""

    def __init__(self, server: ApiServer, log: SessionLog, *, minor_seconds: float = MINOR_SECONDS) -> None:
        self._server = server
        self._log = log
        self._minor_seconds = minor_seconds
        self._newest: SessionReport | None = None
        self._written: SessionReport | None = None
        self._minor_due = 0.0
        self._changed = asyncio.Event()
        self.writes = 0

    def update(self, report: SessionReport) -> None:
        """Take a new report; it replaces one that was not written yet."""
        self._newest = report
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        failures = 0
        while True:
            try:
                await self._wait_for_change()
                await self._write()
                failures = 0
            except ReportError as error:
                failures += 1
                if failures == 1:
                    self._log.say("⚠️", f"Estado no publicado en Kubernetes: {error}", logging.WARNING)
                if error.status in USELESS:
                    self._written = self._newest  # the same again would be refused again; a change is tried
                await asyncio.sleep(wait_after(error, failures, random.random()))  # noqa: S311  jitter
            except Exception:  # noqa: BLE001  the task's outermost loop
                self._log.error("Publicación del estado")
                await asyncio.sleep(MAX_DELAY_SECONDS)

    def _has_major_change(self) -> bool:
        return self._newest is not None and (self._written is None or major(self._newest) != major(self._written))

    def _is_news(self) -> bool:
        newest, written = self._newest, self._written
        return newest is not None and (written is None or msgspec.structs.replace(newest, reported_at=written.reported_at) != written)

    async def _wait_for_change(self) -> None:
        """Return when a write is due."""
        while not self._has_major_change():
            self._changed.clear()
            wait = self._minor_due - time.monotonic() if self._is_news() else None
            if wait is not None and wait <= 0:
                return
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                return
        await asyncio.sleep(COALESCE_SECONDS)

    async def _write(self) -> None:
        report = self._newest
        if report is None or not self._is_news():
            return
        await self._server.patch(report)
        self.writes += 1
        self._written = report
        self._minor_due = time.monotonic() + self._minor_seconds * random.uniform(1, 1 + MINOR_JITTER)  # noqa: S311  jitter
