"""All exceptions that we raise on purpose. Refusals ("does not fit") are values instead."""

_UNKNOWN_FIELD = "field not declared in schema"
"""Part of the answer to an apply with a field that this version of Kubernetes lacks. It is a plain
error of apimachinery's managedfields, so the status is 500.
"""


class LwsPlacementError(Exception):
    """Base of all our exceptions; users may read its text."""


class InvalidObjectError(LwsPlacementError):
    """An object or body breaks its contract; the text names the object and the field."""


class SettingsError(LwsPlacementError):
    """A flag, environment variable or settings file is wrong; the text names it."""


class ApiError(LwsPlacementError):
    """The API server refused or could not be reached.

    `status` is the HTTP status, 0 when there was no answer; `reason` the Status object's reason;
    `retry_after_s` how long it asks us to wait, 0 if it does not say.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def is_refusal(self) -> bool:
        """True if the API server would refuse the request again: it is not just busy."""
        if self.status == 500:
            return _UNKNOWN_FIELD in str(self)
        return 400 <= self.status < 500 and self.status not in (408, 409, 429)

    @property
    def summary(self) -> str:
        """The text, preceded by whether the API server answered."""
        return f"API server {'refuses' if self.status else 'not reached'}: {self}"


def retry_after_s(error: Exception) -> float:
    """How long whoever refused asks us to wait; 0 if it does not say."""
    return error.retry_after_s if isinstance(error, ApiError) else 0.0


class NotFoundError(ApiError):
    """404: the object is not there."""


class ConflictError(ApiError):
    """409: the object has changed, or it exists already; observe again, never overwrite."""


class AlreadyExistsError(ConflictError):
    """409 to a create: an object of that name exists. A plain conflict (a quota that changed
    meanwhile, a webhook) does not imply that.
    """


class ExpiredError(ApiError):
    """410: the resourceVersion is too old; list again."""


class NotLeaderError(LwsPlacementError):
    """Leadership has expired by the monotonic clock; the write was not sent."""


class LocalClusterError(LwsPlacementError):
    """The local control plane could not be built or started; the text says which log to read."""
