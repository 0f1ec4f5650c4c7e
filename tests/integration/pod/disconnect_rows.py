"""The disconnect table as what an emulated WhatsApp does and what the pod makes of it: data for `test_disconnect_table`.

Surprising: how often a lost connection is tried is a range, because whatsmeow tries once by itself before it is stopped.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field

from pod_support import OWNER, World, eventually

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

Act = Callable[[World], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: what happens, in the words of docs/reference/disconnects.md.
        act: lets it happen to a session that is paired, or whose pod was not started yet if `paired` is false.
        state, code, message, attempts: what the report says then; code None: no disconnection is seen.
        tries: how many connections are made between the act and that report, at least and at most.
        kept: whether the credentials stay.
        lift: ends what happened.
        end: where the session is in the end, without anybody's help.
        restarted: where it is after a restart; only for states in which it rests.
        deadline: seconds in which the state is reached.
    """

    name: str
    act: Act
    state: SessionState
    code: int | None
    message: str | None = None
    attempts: int = 0
    tries: tuple[int, int] = (0, 0)
    kept: bool = True
    lift: Act | None = None
    end: SessionState = SessionState.CONNECTED
    restarted: SessionState | None = None
    paired: bool = True
    deadline: float = 30
    environment: dict[Env, str] = field(default_factory=dict)


def happens(kind: str, **details: object) -> Act:
    """A fault that hits the owner's connection once."""

    async def act(world: World) -> None:
        await world.control("fault", kind, OWNER, **details)

    return act


def at_login(kind: str, **details: object) -> Act:
    """A fault that meets the session when its pod is restarted."""

    async def act(world: World) -> None:
        await world.pod.kill()
        await world.control("fault", kind, None if kind == "refuse_ws" else OWNER, **details)
        await world.pod.start()

    return act


def refused(reason: int, **attributes: str) -> Act:
    """WhatsApp refuses the login."""
    return at_login("refuse_login", attrs={"reason": str(reason)} | attributes)


async def clear(world: World) -> None:
    """No fault stands any more."""
    await world.control("fault", "clear")


async def goes_away(world: World) -> None:
    """WhatsApp cannot be reached."""
    await asyncio.to_thread(world.emulator.kill)


async def comes_back(world: World) -> None:
    """It can again."""
    await asyncio.to_thread(world.emulator.start)


def scanned_but(kind: str) -> Act:
    """The owner scans the QR code, and the login after it does not work."""

    async def act(world: World) -> None:
        await world.control("user", OWNER, "María Dueña")
        await world.pod.start()
        qr = await eventually(lambda: world.status.report and world.status.report.qr, "the QR code")
        await world.control("fault", kind, OWNER)
        await world.control("scan", OWNER, qr.code)

    return act


async def restart_required_then_refused(world: World) -> None:
    """A 515, after which whatsmeow connects once, and neither tries again nor says so."""
    await world.control("fault", "refuse_ws")
    await world.control("fault", "stream_error", OWNER, attrs={"code": "515"})


def linked_devices(world: World) -> list[str]:
    """The JIDs of the devices in the credentials."""
    file = world.pod.directory / "data" / "whatsmeow.db"
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return [jid for (jid,) in db.execute("SELECT jid FROM whatsmeow_device")]


S = SessionState
LOST = {"state": S.RECONNECTING, "attempts": 1, "tries": (0, 2)}
ROWS = (
    Row("the connection is cut (TCP reset)", happens("drop"), code=428, message="connection closed", **LOST),
    Row("the connection is closed", happens("close"), code=428, message="connection closed", **LOST),
    Row("stream error 503", happens("stream_error", attrs={"code": "503"}), code=503, message="WhatsApp is unavailable", **LOST),
    Row(
        "stream error 500, or one that nobody knows",
        happens("stream_error", attrs={"code": "500"}),
        code=500,
        message="stream error 500",
        **LOST,
    ),
    Row("stream error 515, restart required", happens("stream_error", attrs={"code": "515"}), S.CONNECTED, None, tries=(1, 1)),
    Row(
        "stream error 515, and WhatsApp then refuses the connection",
        restart_required_then_refused,
        code=515,
        message="restart required",
        lift=clear,
        **LOST,
    ),
    Row(
        "silence: the connection is half open",
        happens("freeze"),
        code=408,
        message="no answer to the keep-alive ping",
        lift=clear,
        deadline=60,
        **LOST,
    ),
    Row("unlinked on the phone", happens("unlink"), S.AWAITING_SCAN, 401, tries=(1, 1), kept=False, end=S.AWAITING_SCAN),
    Row(
        "replaced by another instance",
        happens("stream_error", conflict="replaced"),
        S.REPLACED,
        440,
        "replaced by another instance with the same credentials",
        end=S.REPLACED,
        restarted=S.CONNECTED,
    ),
    Row("login refused: 401", refused(401), S.AWAITING_SCAN, 401, tries=(2, 2), kept=False, lift=clear, end=S.AWAITING_SCAN),
    Row(
        "login refused: 402 with an expiry",
        at_login("refuse_login", attrs={"reason": "402", "code": "101", "expire": "3"}, times=1),
        S.BANNED,
        402,
        "account temporarily banned",
        tries=(1, 1),
    ),
    Row(
        "login refused: 402 without an expiry",
        refused(402),
        S.BANNED,
        402,
        "account temporarily banned",
        tries=(1, 1),
        lift=clear,
        end=S.BANNED,
        restarted=S.CONNECTED,
    ),
    Row(
        "login refused: 403",
        refused(403),
        S.BANNED,
        403,
        "account locked, or its phone is gone",
        tries=(1, 1),
        kept=False,
        lift=clear,
        end=S.BANNED,
        restarted=S.AWAITING_SCAN,
    ),
    Row(
        "login refused: 405",
        refused(405),
        S.FAILED,
        405,
        "WhatsApp refuses this client's version; install a newer release",
        tries=(1, 1),
        lift=clear,
        end=S.FAILED,
        restarted=S.CONNECTED,
    ),
    Row(
        "login refused: 406",
        refused(406),
        S.BANNED,
        406,
        "account banned",
        tries=(1, 1),
        kept=False,
        lift=clear,
        end=S.BANNED,
        restarted=S.AWAITING_SCAN,
    ),
    Row(
        "login refused: 409",
        refused(409),
        S.FAILED,
        409,
        "WhatsApp refuses this client",
        tries=(1, 1),
        lift=clear,
        end=S.FAILED,
        restarted=S.CONNECTED,
    ),
    Row(
        "login refused: 418, or another 4xx",
        refused(418),
        S.AWAITING_SCAN,
        418,
        "refused by WhatsApp",
        tries=(2, 2),
        kept=False,
        lift=clear,
        end=S.AWAITING_SCAN,
    ),
    Row("login refused: 429", refused(429), S.RECONNECTING, 429, "too many requests", 1, tries=(1, 1), lift=clear),
    Row("login refused: 500", refused(500), S.RECONNECTING, 500, "WhatsApp's server failed", 1, tries=(1, 2), lift=clear),
    Row("login refused: 503", refused(503), S.RECONNECTING, 503, "WhatsApp is unavailable", 1, tries=(1, 2), lift=clear),
    Row(
        "the connection is cut at the login", at_login("drop_login"), S.RECONNECTING, 428, "connection closed", 1, tries=(1, 2), lift=clear
    ),
    Row("the WebSocket is refused (HTTP 503)", at_login("refuse_ws"), S.RECONNECTING, 408, None, 2, tries=(2, 2), lift=clear),
    Row(
        "WhatsApp cannot be reached for several attempts",
        goes_away,
        S.RECONNECTING,
        408,
        None,
        4,
        lift=comes_back,
        environment={Env.RECONNECT_MAX_ATTEMPTS: "0"},
    ),
    Row(
        "scanned, but the login is cut",
        scanned_but("drop_login"),
        S.RECONNECTING,
        428,
        "connection closed",
        1,
        tries=(2, 4),
        lift=clear,
        paired=False,
    ),
)
