"""What a Service with ClientIP affinity does on a real cluster: one address, several replicas.

New connections go to the first replica that takes them, always in the same order, since API server
and scheduler are one client each. A connection ends when either side ends.
"""

import json
import socket
import threading
from contextlib import suppress


class Service:
    """Listens on `port` of loopback. `ports_files`: where the replicas write their ports."""

    def __init__(self, port, name, ports_files):
        self._name = name
        self._ports_files = ports_files
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.served = dict.fromkeys(ports_files, 0)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        replica = self._connect()
        if replica is None:
            client.close()
            return
        threading.Thread(target=_pipe, args=(client, replica), daemon=True).start()
        _pipe(replica, client)

    def _connect(self):
        for path in self._ports_files:
            try:
                port = json.loads(path.read_text())[self._name]
                found = socket.create_connection(("127.0.0.1", port), timeout=2)
            except (OSError, ValueError, KeyError):
                continue
            found.settimeout(None)
            self.served[path] += 1
            return found
        return None


def _pipe(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
