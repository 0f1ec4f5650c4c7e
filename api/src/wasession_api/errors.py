"""What can go wrong outside the facade, in two families: Kubernetes and session pods.

`str(error)` is what a client may read (Spanish, no address, no secret); `cause` is for the log.
"""

from wasession_contract.podwire import ErrorCode


class FacadeError(Exception):
    """Base of all; `cause` is the technical reason, for the log only."""

    def __init__(self, details: str, *, cause: str = "") -> None:
        super().__init__(details)
        self.cause = cause


class NotSyncedError(FacadeError):
    """The watch cache has not been filled yet, so nothing is known of any session. Retryable."""

    def __init__(self) -> None:
        super().__init__("El servicio está arrancando y aún no conoce las sesiones; reintenta en unos segundos")


class StillDeletingError(FacadeError):
    """The former session of the same id is not gone yet. Retryable."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"La sesión {session_id} anterior todavía se está eliminando; reintenta en unos segundos")


class KubernetesUnavailableError(FacadeError):
    """The API server did not answer, or not in time. Retryable."""

    def __init__(self, cause: str) -> None:
        super().__init__("Kubernetes no responde; reintenta en unos segundos", cause=cause)


class KubernetesRefusedError(FacadeError):
    """The API server answered with an error; `status` is its HTTP code, `message` its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Kubernetes rechazó la petición ({status}): {message}", cause=message)
        self.status = status
        self.message = message


class ExpiredError(FacadeError):
    """410: the watch's resource version is too old; list again."""

    def __init__(self) -> None:
        super().__init__("La vigilancia caducó", cause="410 Gone")


class PodError(FacadeError):
    """A session pod did not do what it was asked; `code` is its own error code, None if it did not answer."""

    def __init__(self, code: ErrorCode | None, details: str, *, cause: str = "") -> None:
        super().__init__(details, cause=cause)
        self.code = code
