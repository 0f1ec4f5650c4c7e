"""Puts the parts together and opens the listeners: the proxies, TLS behind them (always loopback), and control."""

import asyncio
import signal
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from waemulator import control, web_front
from waemulator.accounts import Directory
from waemulator.context import Context
from waemulator.database import Database
from waemulator.errors import StateError
from waemulator.faults import StandingFaults
from waemulator.groups import Groups
from waemulator.logbook import Logbook
from waemulator.mailbox import Mailbox
from waemulator.media import MediaStore
from waemulator.pki import Pki
from waemulator.proxy import Credentials, Proxy
from waemulator.socks import SocksProxy

LOOPBACK = "127.0.0.1"
SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True)
class Settings:
    """Where to keep state and where to listen; port 0 is any free one."""

    state: Path
    host: str = LOOPBACK
    proxy_port: int = 3128
    control_port: int = 3900
    references: int = 6
    auto_users: bool = False
    socks_port: int = 0
    credentials: Credentials | None = None
    """Who may use the proxies; None is everybody."""


@dataclass(frozen=True)
class Ports:
    """The ports in use."""

    proxy: int
    control: int
    tls: int
    socks: int


def build(settings: Settings, pki: Pki) -> Context:
    """The server's state, read from the state directory.

    Raises:
        StateError: the directory cannot be used.
    """
    database = Database(settings.state)
    directory = Directory(database, auto_users=settings.auto_users)
    return Context(
        database=database,
        logbook=Logbook(database),
        directory=directory,
        groups=Groups(database, directory),
        mailbox=Mailbox(database),
        media=MediaStore(database),
        faults=StandingFaults(),
        pki=pki,
        noise_chain=pki.noise_chain(),
        references_per_connection=settings.references,
    )


class Server:
    """The running listeners."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runners: list[web.AppRunner] = []
        self._proxies: list[asyncio.Server] = []

    async def start(self, settings: Settings) -> Ports:
        """Opens the listeners.

        Raises:
            StateError: a port is taken.
        """
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._context.pki.tls_file)
        tls_port = await self._listen(web_front.application(self._context), LOOPBACK, 0, tls)
        control_port = await self._listen(control.application(self._context), settings.host, settings.control_port)
        http, socks = (kind(self._context.logbook, tls_port, settings.credentials) for kind in (Proxy, SocksProxy))
        proxy_port = await self._serve_proxy(http, settings.host, settings.proxy_port)
        socks_port = await self._serve_proxy(socks, settings.host, settings.socks_port)
        ports = Ports(proxy_port, control_port, tls_port, socks_port)
        self._context.logbook.add("started", **asdict(ports))
        return ports

    async def _serve_proxy(self, proxy: Proxy, host: str, port: int) -> int:
        try:
            listening = await asyncio.start_server(proxy.serve, host, port)
        except OSError as error:
            raise StateError(f"cannot listen on {host}:{port} for the {proxy.protocol} proxy: {error.strerror}") from error
        self._proxies.append(listening)
        return int(listening.sockets[0].getsockname()[1])

    async def _listen(self, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handler_cancellation=False)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise StateError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Closes the listeners and every connection, and writes everything to disk."""
        for proxy in self._proxies:
            proxy.close()
        for connection in list(self._context.connections):
            connection.abort()
        for runner in self._runners:
            await runner.cleanup()
        self._context.logbook.add("stopped")
        self._context.database.close()


async def serve(settings: Settings, pki: Pki, announce: "asyncio.Future[Ports] | None" = None) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: where to keep state and where to listen.
        pki: the keys that clients were configured for.
        announce: gets the ports once everything listens.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(build(settings, pki))
    try:
        ports = await server.start(settings)
        if announce is not None:
            announce.set_result(ports)
        await stop.wait()
    finally:
        await server.stop()
