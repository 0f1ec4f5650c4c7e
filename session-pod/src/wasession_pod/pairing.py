"""Pairing by a code that the owner types into the phone, instead of a QR code.

Surprising: a code is good only on the connection that it was asked for on, so its end is that of the connection's QR set.
"""

from collections.abc import Callable

from wasession_contract.podwire import ErrorCode
from wasession_contract.v1alpha1 import PairingCode, SessionState
from wasession_pod.clientcalls import ClientCalls, NotBegunError
from wasession_pod.engine import Engine, EngineError, PairingCodeShown
from wasession_pod.machine import Event, PairingCodeRefused, State
from wasession_pod.orders import SendError

ANSWER_SECONDS = 30  # whatsmeow itself waits 75 s for an answer


class Pairing:
    """`apply` takes an event of the state machine on the event loop; `state` is where the machine stands."""

    def __init__(self, engine: Engine, calls: ClientCalls, *, apply: Callable[[Event], None], state: Callable[[], State]) -> None:
        self._engine = engine
        self._calls = calls
        self._apply = apply
        self._state = state

    async def ask(self, phone: str) -> None:
        """Ask for the code that the session's spec wants; the machine hears how it went."""
        try:
            self._apply(PairingCodeShown(await self._code(phone)))
        except EngineError as error:
            self._apply(PairingCodeRefused(error.code, str(error)))
        except (TimeoutError, NotBegunError) as error:
            self._apply(PairingCodeRefused(None, str(error)))

    async def code(self, phone: str) -> PairingCode:
        """A code for `phone` (digits) while the session waits to be paired. Raises SendError."""
        state = self._state()
        if state.account:
            raise SendError(ErrorCode.ALREADY_PAIRED, f"the session is linked to {state.account.number}; log it out to pair it anew")
        if state.at is not SessionState.AWAITING_SCAN:
            raise SendError(
                ErrorCode.NOT_CONNECTED, f"no pairing is under way: the session is {state.at}; ask again when it is AwaitingScan"
            )
        try:
            code = await self._code(phone)
        except EngineError as error:
            raise SendError(ErrorCode.PAIRING_REFUSED, f"WhatsApp gave no pairing code for {phone}: {error}") from None
        except (TimeoutError, NotBegunError) as error:
            raise SendError(ErrorCode.PAIRING_REFUSED, f"WhatsApp gave no pairing code for {phone}: {error}") from None
        self._apply(PairingCodeShown(code))
        shown = self._state().pairing_code
        if shown is None or shown.code != code:
            raise SendError(ErrorCode.NOT_CONNECTED, "the connection ended meanwhile; ask again when the session is AwaitingScan")
        return shown

    async def _code(self, phone: str) -> str:
        return await self._calls.run(lambda: self._engine.pairing_code(phone), seconds=ANSWER_SECONDS)
