"""`serve` as a process, with an API server that the test chooses, or none."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from lws_placement.localcluster.cluster import free_ports

_WAIT_S = 60


class Serving:
    """`health`: the port of its health server."""

    def __init__(self, folder, api_port, *flags, user=None):
        (self.health,) = free_ports(1)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(a_kubeconfig(api_port, user)))
        self.log = folder / "log"
        command = [sys.executable, "-m", "lws_placement.cli.main", "serve"]
        command += [f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1"]
        command += [f"--health-port={self.health}", "--webhook-port=0", "--extender-port=0"]
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen([*command, *flags], stdout=out, stderr=out)

    def ask(self, path):
        """Status and text; 0 if nobody listens."""
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.health}{path}", timeout=_WAIT_S) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as e:
            return e.code, e.read().decode()
        except (URLError, OSError):
            return 0, ""

    def wait_for(self, path, wanted):
        """Until the answer is as `wanted` says; the answer."""
        until = time.monotonic() + _WAIT_S
        while not wanted(answer := self.ask(path)):
            assert self.popen.poll() is None, self.log.read_text()
            assert time.monotonic() < until, (answer, self.log.read_text())
            time.sleep(0.02)
        return answer

    def terminate(self):
        self.popen.send_signal(signal.SIGTERM)

    def ended(self):
        """The exit code."""
        return self.popen.wait(_WAIT_S)


@contextmanager
def serving(folder, api_port, *flags, user=None):
    """`user`: of the kubeconfig."""
    process = Serving(folder, api_port, *flags, user=user)
    try:
        yield process
    finally:
        process.popen.kill()
        process.popen.wait()


def a_kubeconfig(port, user):
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": user or {}}],
    }
