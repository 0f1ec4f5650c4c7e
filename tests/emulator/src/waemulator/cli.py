"""The command line: serve, init, env, manifests, values."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from waemulator import kubernetes, pki, server
from waemulator.environment import client_env
from waemulator.errors import StateError
from waemulator.proxy import Credentials


def _print(content: object) -> None:
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def _serve(options: argparse.Namespace) -> None:
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s.%(msecs)03d %(name)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    keys = pki.load(options.pki) if options.pki else pki.create(options.state)
    settings = server.Settings(
        options.state, options.host, options.proxy_port, options.control_port, options.references, options.auto_users,
        options.socks_port, options.proxy_credentials,
    )  # fmt: skip

    async def run() -> None:
        ports: asyncio.Future[server.Ports] = asyncio.get_running_loop().create_future()
        ports.add_done_callback(lambda done: print(json.dumps(asdict(done.result())), flush=True))  # noqa: T201  the ready line
        await server.serve(settings, keys, ports)

    asyncio.run(run())


def _init(options: argparse.Namespace) -> None:
    keys = pki.create(options.state)
    _print({"ca": str(keys.ca_file), "root_key": keys.root.public.hex()})


def _env(options: argparse.Namespace) -> None:
    for name, value in client_env(options.state, options.proxy_port).items():
        sys.stdout.write(f"{name}={value}\n")


def _manifests(options: argparse.Namespace) -> None:
    install = kubernetes.Installation(
        options.namespace, options.image, tuple(options.client_namespace or [options.namespace]), options.node_port, options.storage
    )
    _print(kubernetes.manifests(pki.create(options.state), install))


def _values(options: argparse.Namespace) -> None:
    _print(kubernetes.values(pki.create(options.state), options.namespace))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"not a port: {text!r}; give 0 to 65535")
    return int(text)


def _credentials(text: str) -> Credentials:
    user, colon, password = text.partition(":")
    if not (user and colon):
        raise argparse.ArgumentTypeError("not credentials; give USER:PASSWORD")
    return Credentials(user, password)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="waemulator", description="An emulated WhatsApp Web server for tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--state", type=Path, required=True, help="the directory that keeps keys and state")
        sub.set_defaults(run=run)
        return sub

    serve = command("serve", _serve, "run the server; prints one JSON line with its ports when ready")
    serve.add_argument("--pki", type=Path, help="the directory with the keys, when it is not the state directory (it is then only read)")
    serve.add_argument("--host", default=server.LOOPBACK, help="the address of proxy and control (default: %(default)s)")
    serve.add_argument("--proxy-port", type=_port, default=3128, help="0 is any free one (default: %(default)s)")
    serve.add_argument("--control-port", type=_port, default=3900, help="0 is any free one (default: %(default)s)")
    serve.add_argument("--socks-port", type=_port, default=0, help="of the SOCKS5 proxy; 0 is any free one (default: %(default)s)")
    serve.add_argument("--proxy-credentials", type=_credentials, metavar="USER:PASSWORD", help="who may use the proxies (default: all)")
    serve.add_argument("--references", type=int, default=6, help="QR codes per connection: the first shows 60 s, each other 20 s")
    serve.add_argument("--auto-users", action="store_true", help="every number that is asked for has an account")
    serve.add_argument("-v", "--verbose", action="store_true", help="log every stanza")

    command("init", _init, "make the keys, so that clients can be configured before the server starts; a second call changes nothing")

    env = command("env", _env, "print the environment of a client on this machine")
    env.add_argument("--proxy-port", type=_port, required=True)

    manifests = command("manifests", _manifests, "print the Kubernetes objects that install the emulator (a JSON List)")
    manifests.add_argument("--namespace", required=True)
    manifests.add_argument("--image", default=kubernetes.IMAGE, help="(default: %(default)s)")
    manifests.add_argument("--client-namespace", action="append", help="where session pods run, when not in the same one; may be repeated")
    manifests.add_argument("--node-port", type=_port, help="opens the control API on this port of the node")
    manifests.add_argument("--storage", default="1Gi", help="size of the state volume (default: %(default)s)")

    values = command("values", _values, "print the Helm values that point session pods to the emulator (JSON)")
    values.add_argument("--namespace", default="default", help="where the emulator runs (default: %(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except StateError as error:
        sys.stderr.write(f"waemulator: {error}\n")
        return 1
    return 0
