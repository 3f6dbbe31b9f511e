"""HTTP/2 for the one client that needs it: kube-scheduler's extender calls.

Over HTTP/1.1 that client keeps two idle connections and opens a new one, with a TLS handshake and
two certificates to check, for nearly every bind of a burst. Over HTTP/2, which it prefers, all
calls of an extender entry share one connection. aiohttp serves HTTP/1.1 only, so this module serves
connections that negotiate `h2`, and aiohttp all others; both use the same calls. The package h2
implements the protocol (RFC 9113); our part is one request body in, one answer out.

A call that has begun runs to its end, even if the client cancels it and reads no answer; so calls
that it has cancelled count as calls under way, and opening and resetting streams in turn gains
nothing. A client that reads no answers is not read from. h2 and hyperframe bound headers. A
connection closes as in RFC 9113, section 6.8, so that no call is lost. A first GOAWAY asks the
client to send new calls elsewhere; calls in flight are still answered. A second GOAWAY names the
last call, so that the client repeats later ones elsewhere; then the open calls finish. Both frames
are written by hand, as h2 sends nothing after a GOAWAY.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import DataFrame, GoAwayFrame

log = logging.getLogger(__name__)

Call = Callable[[bytes], Awaitable[str]]
"""The body of a POST -> JSON. No client input makes it raise."""

MOST_BYTES = 64 * 2**20
"""15 000 node names of 63 characters are 1 MB; a preempt call also names victims. All bodies that
are still coming over one connection have no more together.
"""

_NO_LAST_CALL = 2**31 - 1
MOST_CALLS = 1000
"""At once on one connection; kube-scheduler binds that many in a burst."""

_FRAME_BYTES = 2**17
"""A filter call with 15 000 names is 1 MB: eight frames, not sixty. Larger frames cost more again:
until a frame is complete, h2 copies the received part of it with every read.
"""

# Our own response headers need no validation.
_CONFIGURATION = H2Configuration(
    client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False
)
# h2 formats every frame, with its body in hex, for a trace that is not kept. That costs as much as
# all its other work for a large call.
DataFrame.__repr__ = object.__repr__  # type: ignore[method-assign]

_SETTINGS = {
    SettingCodes.MAX_CONCURRENT_STREAMS: MOST_CALLS,
    SettingCodes.INITIAL_WINDOW_SIZE: MOST_BYTES,
    SettingCodes.MAX_FRAME_SIZE: _FRAME_BYTES,
}


class Negotiating(asyncio.Protocol):
    """Leaves a connection to the protocol that is chosen once its TLS handshake is done. `choose`
    gets the ssl object, and returns None for a connection that is not to be served.
    """

    def __init__(self, choose: Callable[[ssl.SSLObject | None], asyncio.Protocol | None]) -> None:
        self._choose = choose

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._choose(transport.get_extra_info("ssl_object"))
        if protocol is None:
            cast(asyncio.Transport, transport).abort()
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class Http2Connection(asyncio.Protocol):
    """One `h2` connection. `calls`: by path; `among`: the open connections of the server."""

    def __init__(self, calls: Mapping[str, Call], *, among: "set[Http2Connection]") -> None:
        self._calls = calls
        self._among = among
        self._h2 = H2Connection(_CONFIGURATION)
        # Effective from the first byte: h2 applies an acknowledged setting from the next read on,
        # but the first larger frame may arrive together with the acknowledgement.
        self._h2.local_settings = Settings(client=False, initial_values=_SETTINGS)
        self._h2.max_inbound_frame_size = _FRAME_BYTES
        self._bodies: dict[int, tuple[str, bytearray]] = {}
        self._gathered_bytes = 0
        self._running: dict[int, asyncio.Task[None]] = {}
        self._unsent: dict[int, memoryview] = {}
        self._leaving = False
        self._last_call = _NO_LAST_CALL
        self._lost = False
        self._progress = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base class
        self._among.add(self)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(MOST_BYTES)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._bodies.clear()
        self._unsent.clear()
        self._progressed()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._on(event)
        except ProtocolError as e:
            log.warning("HTTP/2 connection broken", extra={"error": str(e)})
            self._flush()
            self._transport.close()
        else:
            self._flush()
        self._progressed()

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def leave(self) -> None:
        """Asks the client to send its next calls elsewhere. A client without a call yet is asked
        with its first: it opened the connection for that one.
        """
        self._leaving = True
        if self._h2.highest_inbound_stream_id:
            self._go_away()

    async def close(self, *, within_s: float) -> None:
        """Accepts no more calls, waits at most `within_s` for open ones, and closes."""
        self._last_call = self._h2.highest_inbound_stream_id
        self._go_away()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._until(lambda: not (self._bodies or self._running or self._unsent))
                self._transport.close()
                await self._until(lambda: self._lost)
        self._transport.abort()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._progress.clear()
            await self._progress.wait()

    def _progressed(self) -> None:
        self._progress.set()
        if self._lost and not self._running:
            self._among.discard(self)

    def _go_away(self) -> None:
        self._flush()
        frame = GoAwayFrame(last_stream_id=self._last_call, error_code=ErrorCodes.NO_ERROR)
        self._transport.write(frame.serialize())

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream), headers=list(headers)):
                asked = dict(headers).get(b":path", b"")  # CONNECT has none
                self._begin(stream, asked.decode(errors="replace"))
            case DataReceived(stream_id=int(stream)):
                self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                self._gather(stream, event.data or b"")
            case StreamEnded(stream_id=int(stream)) if stream in self._bodies:
                path, body = self._taken(stream)
                if len(self._running) >= MOST_CALLS:
                    self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                    return
                task = asyncio.create_task(self._answer(stream, path, bytes(body)))
                self._running[stream] = task
                task.add_done_callback(lambda _: self._ended(stream))
            case StreamReset(stream_id=int(stream)):
                if stream in self._bodies:
                    self._taken(stream)
                self._unsent.pop(stream, None)
            case WindowUpdated() | RemoteSettingsChanged():
                for stream in list(self._unsent):
                    self._send(stream)
            case ConnectionTerminated():
                self._transport.close()

    def _begin(self, stream: int, path: str) -> None:
        if stream > self._last_call:
            return
        self._bodies[stream] = path, bytearray()
        if self._leaving and stream == 1:
            self._go_away()

    def _ended(self, stream: int) -> None:
        self._running.pop(stream, None)
        self._progressed()

    def _gather(self, stream: int, data: bytes) -> None:
        if stream not in self._bodies:
            return
        body = self._bodies[stream][1]
        body += data
        self._gathered_bytes += len(data)
        if self._gathered_bytes > MOST_BYTES:
            self._taken(stream)
            self._h2.reset_stream(stream, ErrorCodes.ENHANCE_YOUR_CALM)

    def _taken(self, stream: int) -> tuple[str, bytearray]:
        """Path and body of a call that is not awaited any more."""
        path, body = self._bodies.pop(stream)
        self._gathered_bytes -= len(body)
        return path, body

    async def _answer(self, stream: int, path: str, body: bytes) -> None:
        status, answer = await self._decide(path, body)
        if self._transport.is_closing():
            return
        try:
            self._h2.send_headers(
                stream, [(":status", status), ("content-type", "application/json")]
            )
            self._unsent[stream] = memoryview(answer.encode())
            self._send(stream)
        except (StreamClosedError, StreamIDTooLowError):  # reset; h2 forgets such streams in time
            self._unsent.pop(stream, None)
        self._flush()

    async def _decide(self, path: str, body: bytes) -> tuple[str, str]:
        call = self._calls.get(path)
        if call is None:
            return "404", ""
        try:
            return "200", await call(body)
        except Exception:
            log.exception("call failed", extra={"path": path})
            return "500", ""

    def _send(self, stream: int) -> None:
        """Sends as much of the answer as the client's flow-control window allows."""
        rest = self._unsent[stream]
        while True:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            last = len(rest) <= room
            if not last and room <= 0:
                self._unsent[stream] = rest
                return
            self._h2.send_data(stream, bytes(rest[:room]), end_stream=last)
            if last:
                del self._unsent[stream]
                return
            rest = rest[room:]

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._transport.write(data)
