"""Calls to session pods over real HTTP: tokens, error answers, cut connections, silence."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from facade_support import KEY, FakePod, free_port, serving

from wasession_api import pods as pods_module
from wasession_api.errors import PodError
from wasession_api.pods import CUT, LATE, NO_ANSWER, Pods
from wasession_contract.podwire import ErrorCode, SendRequest

pytestmark = pytest.mark.integration
HOST = "127.0.0.1"
HOLA = SendRequest(to="57300", text="Hola")


@pytest.fixture
async def place() -> AsyncIterator[tuple[Pods, FakePod]]:
    """A client, and a pod of the session `uid-1`."""
    port = free_port()
    pods = Pods(KEY, port)
    await pods.open()
    async with serving(FakePod("uid-1"), HOST, port) as pod:
        yield pods, pod
    await pods.close()


async def failure(pods: Pods, uid: str = "uid-1") -> PodError:
    with pytest.raises(PodError) as caught:
        await pods.send(HOST, uid, HOLA)
    return caught.value


async def test_a_message_and_its_idempotency_key_arrive(place: tuple[Pods, FakePod]) -> None:
    pods, pod = place
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Idempotency-Key"))
        return web.json_response({"id": "1", "timestamp": 2})

    pod.answer = answer
    assert (await pods.send(HOST, "uid-1", HOLA, "k")).id == "1"
    await pods.send(HOST, "uid-1", HOLA)
    assert seen == ["k", None]


async def test_another_sessions_pod_takes_nothing(place: tuple[Pods, FakePod]) -> None:
    pods, pod = place
    assert (await failure(pods, "uid-2")).code is ErrorCode.UNAUTHORIZED
    assert pod.sent == []


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_a_pods_error_keeps_its_code(place: tuple[Pods, FakePod], code: ErrorCode) -> None:
    pods, pod = place

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"code": code.value, "message": "why"}, status=503)

    pod.answer = answer
    error = await failure(pods)
    assert (error.code, str(error)) == (code, "why")


async def test_an_answer_that_is_no_answer(place: tuple[Pods, FakePod]) -> None:
    pods, pod = place

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>", status=502)

    pod.answer = answer
    error = await failure(pods)
    assert error.code is None
    assert "(502)" in str(error)


async def test_a_connection_that_is_cut_leaves_it_open_whether_the_message_went_out(place: tuple[Pods, FakePod]) -> None:
    pods, pod = place

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    pod.answer = answer
    assert str(await failure(pods)) == CUT
    with pytest.raises(PodError, match=NO_ANSWER):
        await pods.chats(HOST, "uid-1")


async def test_a_pod_that_keeps_silent_is_not_waited_for_for_ever(place: tuple[Pods, FakePod], monkeypatch: pytest.MonkeyPatch) -> None:
    pods, pod = place
    never = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    pod.answer = answer
    monkeypatch.setattr(pods_module, "SEND_SECONDS", 0.1)
    assert str(await failure(pods)) == LATE
    never.set()


async def test_nobody_at_the_address() -> None:
    pods = Pods(KEY, free_port())
    await pods.open()
    assert str(await failure(pods)) == NO_ANSWER
    await pods.close()
