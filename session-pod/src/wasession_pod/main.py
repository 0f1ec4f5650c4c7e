"""The process: settings, log, journal, HTTP server, signals, and the fresh start.

Surprising: a fresh start is `execve` of the same command, so the container goes on and the kubelet sees no crash; what
the next process must know travels in one environment variable. The process ends by `os._exit`, because neonize leaves
threads that nothing can join.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from wasession_contract.podwire import DATA_DIR, PORT
from wasession_contract.v1alpha1 import LastDisconnect
from wasession_pod import credentials, http, logs, settings, watchdog
from wasession_pod.engine import Engine, EventSink, NewsSink
from wasession_pod.journal import Journal, JournalError
from wasession_pod.machine import State
from wasession_pod.pod import Pod
from wasession_pod.proxies import Proxy
from wasession_pod.reports import SERVICE_ACCOUNT, ApiServer, api_server_url
from wasession_pod.web.server import Server

CARRIED = "WASESSION_CARRIED"
CLOSE_SECONDS = 0.5  # for HTTP calls under way at the end


class Carried(msgspec.Struct, frozen=True):
    """What a fresh start keeps."""

    attempts: int = 0
    fresh_starts: int = 0
    last_disconnect: LastDisconnect | None = None


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one session until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m wasession_pod", description="One WhatsApp session.")
    parser.add_argument("--data-dir", type=Path, default=Path(DATA_DIR), help="the volume (default: %(default)s)")
    parser.add_argument("--host", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    parser.add_argument("--api-server", default=api_server_url(os.environ), help="URL of the API server (default: the cluster's)")
    parser.add_argument("--service-account-dir", type=Path, default=SERVICE_ACCOUNT, help="token and CA (default: %(default)s)")
    arguments = parser.parse_args(argv)
    logs.set_up()
    asyncio.run(_run(arguments))
    sys.stderr.flush()
    os._exit(0)


async def _run(arguments: argparse.Namespace) -> None:
    config = settings.load(os.environ, data_dir=arguments.data_dir, port=arguments.port)
    if config.log_json:
        logs.use_json()
    proxy = Proxy(config.proxy_url) if config.proxy_url else None
    if proxy:
        logs.hide(*proxy.secrets)
    journal, config = _open_journal(config)
    carried = msgspec.json.decode(os.environ.pop(CARRIED, "{}"), type=Carried)
    api_server = _api_server(arguments, config)
    state = State(
        policy=config.reconnect,
        pairing_phone=config.pairing_phone,
        account=credentials.account(config.data_dir),
        linked=credentials.exist(config.data_dir),
        attempts=carried.attempts,
        fresh_starts=carried.fresh_starts,
        last_disconnect=carried.last_disconnect,
    )

    def make_engine(on_event: EventSink, on_news: NewsSink) -> Engine:
        from wasession_pod.whatsapp import NeonizeEngine  # noqa: PLC0415  loads Go, and may fail: then the pod says why

        return NeonizeEngine(
            data_dir=config.data_dir,
            device_name=config.device_name,
            proxy=proxy,
            on_event=on_event,
            on_news=on_news,
            is_stored=journal.has,
        )

    pod = Pod(config, journal, state=state, make_engine=make_engine, server=api_server, fresh_start=_fresh_start)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    application = http.Application(pod, config.token_sha256)
    server = Server(application, limit=application.limit, refuse=http.refuse_request)
    await server.start(arguments.host, config.port)
    pod.start()
    dog = asyncio.create_task(watchdog.run())
    await stop.wait()
    dog.cancel()
    await pod.stop()
    await server.close(CLOSE_SECONDS)


def _api_server(arguments: argparse.Namespace, config: settings.Settings) -> ApiServer | None:
    if not arguments.api_server:
        return None
    return ApiServer(arguments.api_server, config.namespace, config.name, arguments.service_account_dir)


def _open_journal(config: settings.Settings) -> tuple[Journal, settings.Settings]:
    """The journal on the volume; if that fails, one in memory and the reason as the settings' problem."""
    try:
        return Journal(config.data_dir / "journal.db", config.retention), config
    except JournalError as error:
        problem = config.problem or f"the journal on the volume cannot be opened: {error}"
        return Journal(":memory:"), msgspec.structs.replace(config, problem=problem)


def _fresh_start(state: State) -> NoReturn:
    """Become a new process of the same command.

    Children stay with a process over `execve`, and neonize leaves those of its `uname` unreaped at every import.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    logs.restore_stdout()
    carried = msgspec.json.encode(Carried(state.attempts, state.fresh_starts + 1, state.last_disconnect)).decode()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, CARRIED: carried})  # noqa: S606  itself
