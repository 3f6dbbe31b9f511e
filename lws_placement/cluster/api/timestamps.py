"""Times of the API server, RFC 3339 in UTC: `metav1.Time` and `metav1.MicroTime`."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=8192)
def decode_time(text: str | None) -> float:
    """Seconds since the epoch; 0 for None or empty. Raises ValueError for any other text."""
    if not text:
        return 0.0
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def encode_now() -> str:
    """Now as a `metav1.Time`."""
    return _encode(datetime.now(UTC), "seconds")


def encode_time(seconds: float) -> str:
    """Seconds since the epoch as a `metav1.Time`."""
    return _encode(datetime.fromtimestamp(seconds, UTC), "seconds")


def encode_now_micro() -> str:
    """Now as a `metav1.MicroTime`, with six digits."""
    return _encode(datetime.now(UTC), "microseconds")


def _encode(when: datetime, timespec: str) -> str:
    return when.isoformat(timespec=timespec).replace("+00:00", "Z")
