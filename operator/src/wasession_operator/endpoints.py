"""What the process answers by HTTP: `/healthz` and `/readyz` for the kubelet, `/metrics` for Prometheus.

Surprising: they are served by the event loop that does the work, so that an answer proves that the loop turns.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import prometheus_client
from aiohttp import web
from prometheus_client import CollectorRegistry

Probe = Callable[[], Sequence[str]]
"""What is wrong; nothing: all is well."""


@asynccontextmanager
async def serving(port: int, routes: dict[str, Callable[[], web.Response]]) -> AsyncIterator[None]:
    """Answer GET of each path in `routes` on `port` of every address. Raises OSError if the port cannot be had."""
    application = web.Application()
    for path, answer in routes.items():
        application.router.add_get(path, _handler(answer))
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()


def _handler(answer: Callable[[], web.Response]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.StreamResponse:
        return answer()

    return handle


def probe(look: Probe) -> web.Response:
    """200, or 503 with one line for each thing that is wrong."""
    wrong = look()
    return web.Response(status=503 if wrong else 200, text="".join(f"{line}\n" for line in wrong) or "ok\n")


def metrics(registry: CollectorRegistry) -> web.Response:
    """Prometheus' text format."""
    return web.Response(body=prometheus_client.generate_latest(registry), headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
