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
            found = self._connected(path)
            if found is not None:
                self.served[path] += 1
                return found
        return None

    def _connected(self, path):
        try:
            port = json.loads(path.read_text())[self._name]
            found = socket.create_connection(("127.0.0.1", port), timeout=2)
        except (OSError, ValueError, KeyError):
            return None
        found.settimeout(None)
        return found


class Endpoints(Service):
    """As kube-proxy's rules have it: a replica gets new connections until it is `removed`, also if
    nobody listens there any more, and nobody tries another one. In turn, or `sticky`.
    """

    def __init__(self, port, name, ports_files, *, sticky):
        self._members = list(ports_files)
        self._sticky = sticky
        super().__init__(port, name, ports_files)

    def remove(self, path):
        self._members = [m for m in self._members if m != path]

    def add(self, path):
        self._members = [*self._members, path]

    def _connect(self):
        members = self._members
        if not members:
            return None
        path = members[0] if self._sticky else members[sum(self.served.values()) % len(members)]
        self.served[path] += 1
        return self._connected(path)


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
