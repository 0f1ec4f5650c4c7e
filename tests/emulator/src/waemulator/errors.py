"""The errors of the emulator: those a caller of the control API made, and those the WhatsApp client made."""

from http import HTTPStatus


class ControlError(Exception):
    """The control API refuses a request.

    Attributes:
        status: the HTTP status of the answer.
        code: stable and machine-readable, e.g. `unknown_number`.
        message: names the value and the mend.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class ProtocolViolationError(Exception):
    """The client sent something that the real server would not accept."""


class StateError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


def bad_request(code: str, message: str) -> ControlError:
    """A 400 with this code and message."""
    return ControlError(HTTPStatus.BAD_REQUEST, code, message)
