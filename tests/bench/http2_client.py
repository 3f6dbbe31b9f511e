"""A client of HTTP/2 POST calls, many at a time on one connection."""

import asyncio
import contextlib

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.connection import ConnectionInputs, ConnectionState, H2ConnectionStateMachine


class _Machine(H2ConnectionStateMachine):
    """To h2 a GOAWAY is the end; to RFC 9113 it is none for the calls that were made before."""

    _transitions = H2ConnectionStateMachine._transitions | {
        (ConnectionState.CLIENT_OPEN, ConnectionInputs.RECV_GOAWAY): (
            None,
            ConnectionState.CLIENT_OPEN,
        )
    }


class Client(asyncio.Protocol):
    """`window`: bytes of an answer that may come before it has taken any; 65 535 in RFC 9113."""

    def __init__(self, window=None):
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self.h2.state_machine = _Machine()
        self.window = window
        self.answers = {}
        self.told_to_go = asyncio.Event()
        self.last_calls = []
        self.closed = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        if self.window is not None:
            initial = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self.window}
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=initial)
        self.h2.initiate_connection()
        if self.window is not None:
            self.h2.increment_flow_control_window(self.window)
        self.flush()

    def connection_lost(self, exc):
        self.closed.set()

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            match event:
                case h2.events.ResponseReceived():
                    self.answers[stream][0] = dict(event.headers)[b":status"].decode()
                case h2.events.DataReceived():
                    self.answers[stream][1] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                case h2.events.StreamEnded() | h2.events.StreamReset():
                    self.answers[stream][2].set()
                case h2.events.ConnectionTerminated():
                    self.last_calls.append(event.last_stream_id)
                    self.told_to_go.set()
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def begin(self, path):
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = ["reset", b"", asyncio.Event()]
        headers = [(":method", "POST"), (":path", path), (":scheme", "https"), (":authority", "x")]
        self.h2.send_headers(stream, headers)
        return stream

    def post(self, path, body=b""):
        stream = self.begin(path)
        while body:
            size = min(len(body), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream, body[:size])
            body = body[size:]
        self.h2.end_stream(stream)
        self.flush()
        return stream

    async def answer(self, stream):
        done = self.answers[stream][2]
        await done.wait()
        return self.answers[stream][0], self.answers[stream][1].decode()


@contextlib.asynccontextmanager
async def connected(port, trust, window=None):
    trust.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(
        lambda: Client(window), "127.0.0.1", port, ssl=trust
    )
    try:
        # The server's settings have to be here before a body larger than their defaults goes out.
        while client.h2.remote_settings.initial_window_size < 2**20:
            await asyncio.sleep(0)
        yield client
    finally:
        transport.close()
        await client.closed.wait()
