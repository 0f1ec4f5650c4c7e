"""What can go wrong, in two families: what is tried again soon, and what stays wrong until somebody changes something."""


class OperatorError(Exception):
    """Base of all; `code` is stable and labels the metrics."""

    code = "error"


class SettingError(OperatorError):
    """A setting cannot be used; the message names the variable, its value and the mend. The operator does not start."""

    code = "setting"


class RetryableError(OperatorError):
    """The API server did not answer, or asked to come back later. `after`: at least so many seconds, if it said."""

    code = "unavailable"

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class StaleError(RetryableError):
    """The object is not what we took it for: it changed, is another one of that name, is there already, or is gone."""

    code = "stale"


class TerminalError(OperatorError):
    """The API server refuses what we want (forbidden, quota, invalid); the message is its own."""

    code = "refused"
