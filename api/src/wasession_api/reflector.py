"""Keeps the store like the cluster: list once, then watch, for ever.

Surprising: a cut connection resumes the watch where it was; only an expired resource version (410) lists again.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import msgspec

from wasession_api.errors import ExpiredError, KubernetesRefusedError, KubernetesUnavailableError
from wasession_api.store import Store
from wasession_contract.v1alpha1 import WhatsAppSession

log = logging.getLogger(__name__)
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0  # seconds; short, because readers see the past meanwhile
Sleep = Callable[[float], Awaitable[None]]


class Put(msgspec.Struct, frozen=True):
    """An object is new or changed."""

    session: WhatsAppSession
    version: str


class Removed(msgspec.Struct, frozen=True):
    """An object is gone."""

    name: str
    version: str


class Bookmark(msgspec.Struct, frozen=True):
    """Nothing changed up to this resource version."""

    version: str


Change = Put | Removed | Bookmark


class Source(Protocol):
    """Where sessions come from."""

    async def list_all(self) -> tuple[list[WhatsAppSession], str]:
        """All objects, and the resource version to watch from. Raises FacadeError."""

    def watch(self, version: str) -> AsyncIterator[Change]:
        """Changes since `version`, until the server ends the call. Raises FacadeError."""


def pause_seconds(failures: int, jitter: float) -> float:
    """Exponential back-off; `jitter` from 0 to 1 takes up to half of it away."""
    return float(min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE) * (1 - jitter / 2))


def _apply(store: Store, change: Change) -> None:
    match change:
        case Put(session=session):
            store.put(session)
        case Removed(name=name):
            store.remove(name)
        case Bookmark():
            pass


async def follow(source: Source, store: Store, sleep: Sleep = asyncio.sleep) -> None:
    """List and watch until cancelled."""
    version: str | None = None
    failures = 0
    while True:
        try:
            if version is None:
                sessions, version = await source.list_all()
                store.replace(sessions)
                log.info("📋 %d sesiones leídas de Kubernetes", len(sessions))
            async for change in source.watch(version):
                _apply(store, change)
                version = change.version
                failures = 0
            failures = 0
        except ExpiredError:
            version = None
            failures += 1
        except (KubernetesUnavailableError, KubernetesRefusedError) as error:
            failures += 1
            log.warning("⚠️ Kubernetes no responde (intento %d): %s", failures, error.cause)
        except Exception:  # the task's outermost loop
            log.exception("❌ Error siguiendo las sesiones; se leen de nuevo")
            version = None
            failures += 1
        await sleep(pause_seconds(failures, random.random()))  # noqa: S311  jitter needs no cryptography
