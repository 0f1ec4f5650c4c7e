"""`python -m wasession_api`: read the settings, follow the sessions, serve."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from wasession_api import settings as settings_module
from wasession_api.app import create_app
from wasession_api.changes import Changes
from wasession_api.cluster import Cluster
from wasession_api.pods import Pods
from wasession_api.reflector import follow
from wasession_api.service import Service
from wasession_api.settings import SettingError, Settings
from wasession_api.store import Store

log = logging.getLogger("wasession_api")
GRACE_SECONDS = 20  # for calls under way at SIGTERM; Kubernetes kills after 30 s, of which 5 go to the preStop pause


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingError if there is no usable configuration of Kubernetes."""
    store, cluster, pods = Store(), Cluster(settings.namespace), Pods(settings.internal_key)
    await cluster.open()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pods.open()
        following = asyncio.create_task(follow(cluster, store))
        log.info("🚀 API en el puerto %d, sesiones del namespace %s", settings.ws_port, settings.namespace)
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            await pods.close()
            await cluster.close()
            store.close()

    app = create_app(Service(settings, store, Changes(settings, store, cluster), pods), lifespan)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104  a container's port is reached from outside
            port=settings.ws_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    await server.serve()


def main() -> int:
    """Returns the exit code: 2 for a setting that cannot be used."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for ending in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again once it has stopped; that is no failure
        signal.signal(ending, lambda *_: sys.exit(0))
    try:
        settings = settings_module.load()
        if settings.api_key is None:
            log.warning("⚠️ Sin WASESSION_API_KEY: quien alcance el puerto %d puede usar todas las sesiones", settings.ws_port)
        asyncio.run(serve(settings))
    except SettingError as error:
        print(f"wasession_api: {error}", file=sys.stderr)  # noqa: T201  the one line that the user has to read
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
