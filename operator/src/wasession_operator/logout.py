"""Asks a session's pod to unlink its device, before the object and its volume go."""

import asyncio

import aiohttp

from wasession_contract.podwire import PORT

RETRY_SECONDS = 0.5
_AGAIN = frozenset({503})  # starting or reconnecting: it may be connected in a moment


async def log_out(http: aiohttp.ClientSession, ip: str, token: str, seconds: float, port: int = PORT) -> str:
    """Ask until it is done, for `seconds` at most. Returns why it failed; empty: the device is unlinked."""
    host = f"[{ip}]" if ":" in ip else ip
    failure = f"the session's pod did not answer within {seconds:g} s"
    try:
        async with asyncio.timeout(seconds):
            while True:
                failure, again = await _ask(http, f"http://{host}:{port}/v1/logout", token)
                if not again:
                    return failure
                await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        return failure


async def _ask(http: aiohttp.ClientSession, url: str, token: str) -> tuple[str, bool]:
    try:
        async with http.post(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            if answer.ok:
                return "", False
            return f"the session's pod answered {answer.status}: {(await answer.text())[:200]}", answer.status in _AGAIN
    except aiohttp.ClientError as error:
        return f"the session's pod cannot be reached: {type(error).__name__}", True
