"""Every version of pods and of holds, in the order in which the API server made them."""

import json
import threading

from e2e.resources import path_of
from soak.client import Client, ExpiredError, UnreachableError

from lws_placement.localcluster.install import NAMESPACE

_PAUSE_S = 0.2


class Watching:
    """Two threads, until `close()`; `promises` is told what they see."""

    def __init__(self, cluster, promises, figures):
        self._cluster = cluster
        self._figures = figures
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(path, told), daemon=True)
            for path, told in (
                (path_of("pods", ""), promises.pods),
                (path_of("leases", NAMESPACE), promises.holds),
            )
        ]
        for thread in self._threads:
            thread.start()

    def close(self):
        self._ended.set()
        for thread in self._threads:
            thread.join(1)

    def _follow(self, path, told):
        client = Client(self._cluster)
        version = ""
        while not self._ended.is_set():
            try:
                if not version:
                    found = client.list(path)
                    version = found["metadata"]["resourceVersion"]
                    told.listed(found["items"])
                version = self._watch(client, path, version, told)
            except UnreachableError:
                self._figures.count("own watches interrupted")
                self._ended.wait(_PAUSE_S)

    def _watch(self, client, path, version, told):
        """From which version to go on; empty: a list is needed."""
        asked = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        try:
            for line in client.lines(path, **asked):
                if self._ended.is_set():
                    return version
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    told.changed(event["type"], event["object"])
                told.reached(int(version))
        except ExpiredError:
            return ""
        except UnreachableError:
            self._ended.wait(_PAUSE_S)
        except ValueError:
            pass  # a line that was cut
        return version
