"""A `serve` process begins to lead while the API server answers badly."""

import json
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from support.serving import serving

from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.engine.base.keys import HOLD_LABEL

FIRST_OF_TERM = {f"{HOLD_LABEL}=hold": 2, f"{HOLD_LABEL}=troubles": 1}
"""Which list of these Leases is the first one of the term: the watch begins with one of holds."""


class EmptyCluster(BaseHTTPRequestHandler):
    """An API server without objects, which keeps the leader Lease. It answers the first lists of a
    term with 500.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        if url.path.endswith(LEADER_LEASE):
            lease = self.server.lease
            self._answer(200 if lease else 404, lease or {"kind": "Status"})
        elif "watch" in asked:
            self.server.ended.wait()
        elif url.path.endswith("/leases"):
            (selector,) = asked.get("labelSelector", [""])
            self.server.lists[selector] += 1
            bad = self.server.lists[selector] == FIRST_OF_TERM.get(selector)
            self._answer(500 if bad else 200, {"kind": "Status"} if bad else self._nothing())
        else:
            self._answer(200, self._nothing())

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        body["metadata"]["resourceVersion"] = "1"
        if body["metadata"].get("name") == LEADER_LEASE:
            self.server.lease = body
        self._answer(201, body)

    do_PUT = do_POST

    def _nothing(self):
        return {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def an_empty_cluster():
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyCluster)
    server.daemon_threads, server.block_on_close = True, False
    server.lease, server.lists, server.ended = None, Counter(), threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_term_begins_though_its_first_lists_fail(tmp_path):
    with (
        an_empty_cluster() as server,
        serving(tmp_path, server.server_port, "--roles=planner") as process,
    ):
        planner_runs = "lws_placement_holds"
        process.wait_for("/metrics", lambda answer: planner_runs in answer[1])
        log = process.log.read_text()
        assert all(server.lists[selector] > number for selector, number in FIRST_OF_TERM.items())
        assert log.count("leading ") == 1
        assert "Traceback" not in log
