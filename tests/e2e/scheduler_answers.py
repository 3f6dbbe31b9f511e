"""What the real kube-scheduler says of a pod on each node.

kube-scheduler tells an extender the names of the nodes that passed all of its own filters. The
extender here writes them down and refuses all, so no pod is ever bound and none changes the answer
for another. If no node passes, no extender is called, and the pod's condition says so. For groups
(`group_binding.py`) it writes nothing down and lets pods pass to the nodes that it is told.
"""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e.resources import path_of, path_to_make

_NO_CLAIM_YET = "waiting for ephemeral volume controller"


@dataclass(frozen=True)
class Answer:
    nodes: frozenset
    """That passed."""
    message: str = ""
    """Of the pod's condition, if none passed."""
    failed: bool = False
    """A plugin failed for some node, so nothing is known of the others."""


class RecordingExtender:
    """Plain HTTP on loopback, a context manager. Every call about one pod has to say the same, as
    long as nothing in the cluster changes: else the scheduler answered from an old state.
    """

    def __init__(self):
        self._nodes = {}
        self._open_to = None
        self.changed = []
        """Pods whose later call said something else."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def nodes_for(self, uid):
        """None if there was no call."""
        return self._nodes.get(uid)

    @contextmanager
    def letting_pass(self, nodes):
        """Meanwhile pods may be bound to these nodes."""
        self._open_to = frozenset(nodes)
        try:
            yield
        finally:
            self._open_to = None

    def configuration(self):
        """Of a kube-scheduler that looks at every node and asks for every pod."""
        extender = {
            "urlPrefix": f"http://127.0.0.1:{self._server.server_port}",
            "filterVerb": "filter",
            "nodeCacheCapable": True,
            "httpTimeout": "60s",
        }
        return {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"qps": 500, "burst": 1000},
            "percentageOfNodesToScore": 100,
            "extenders": [extender],
        }

    def _take(self, args):
        """The nodes that the pod may pass to."""
        meta, nodes = args["Pod"]["metadata"], frozenset(args["NodeNames"])
        if self._open_to is not None:
            return sorted(nodes & self._open_to)
        if self._nodes.setdefault(meta["uid"], nodes) != nodes:
            self.changed.append(f"{meta['namespace']}/{meta['name']}")
        return []

    def _handler(self):
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            """A connection for each call: none is left when the scheduler ends."""

            def do_POST(self):
                passed = take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                body = json.dumps({"NodeNames": passed}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


def ask(cluster, extender, pods):
    """Creates these pods, and deletes them when there is an answer for each. Yields the pod as the
    API server has it and its answer, in the same order.
    """
    made = [cluster.api.create(path_to_make(pod, ""), pod) for pod in pods]
    answers = {}

    def all_answered():
        waiting = cluster.api.items(path_of("pods", ""), fieldSelector="spec.nodeName=")
        for pod in waiting:
            answer = _answer(pod, extender)
            if answer is not None:
                answers.setdefault(pod["metadata"]["uid"], answer)
        return all(pod["metadata"]["uid"] in answers for pod in made)

    cluster.wait_for(all_answered, cluster.scheduler)
    for pod in made:
        cluster.api.delete(path_of("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]))
    return [(pod, answers[pod["metadata"]["uid"]]) for pod in made]


def _answer(pod, extender):
    """None if there is none yet. The call comes before the condition."""
    condition = scheduled(pod)
    nodes = extender.nodes_for(pod["metadata"]["uid"])
    if nodes is not None:
        return Answer(nodes)
    if condition.get("status") != "False" or _NO_CLAIM_YET in condition["message"]:
        return None
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    failed = "DynamicResources" in condition["message"] and condition["reason"] == "SchedulerError"
    assert failed or condition["reason"] == "Unschedulable", f"{where}: {condition}"
    return Answer(frozenset(), condition["message"], failed)


def scheduled(pod):
    conditions = pod["status"].get("conditions", ())
    return next((c for c in conditions if c["type"] == "PodScheduled"), {})
