"""Log format: a short fixed message plus fields, as text for people or JSON for machines.

Fields quote names and messages that users wrote. So they are cut, and their control characters are
escaped: a line of the log is one event, and starts no other. Lines of a traceback are indented.
"""

import json
import logging
from datetime import UTC, datetime

_MOST_CHARACTERS = 2000
"""Of a field."""
_MOST_OF_TRACEBACK = 20_000

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{k}={_escaped(str(v))}" for k, v in _fields(record).items())
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = (
            f"{when} {record.levelname:<7} {record.name}: {record.getMessage()} {fields}".rstrip()
        )
        if record.exc_info:
            lines = _cut(self.formatException(record.exc_info), _MOST_OF_TRACEBACK).splitlines()
            line += "".join(f"\n    {_escaped(one)}" for one in lines)
        return line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = _cut(self.formatException(record.exc_info), _MOST_OF_TRACEBACK)
        return json.dumps(line, default=str)


def set_up(*, level: str, format: str) -> None:
    """Logs to standard error, for the whole process."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if format == "json" else _Text())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """The values as they are logged: numbers, and short texts."""
    return {
        k: v if isinstance(v, int | float) else _cut(str(v), _MOST_CHARACTERS)
        for k, v in vars(record).items()
        if k not in _STANDARD
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _escaped(text: str) -> str:
    """Without characters that a terminal or a reader of lines takes for more than text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
