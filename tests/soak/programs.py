"""The programs of a control plane and ours, which a supervisor starts again whenever they end.

Everything is started by the thread that makes this, since a program ends with the thread that has
started it. `tend()` is called again and again; it never waits.
"""

import json
import re
import signal
import time
from collections import Counter
from contextlib import suppress

import urllib3
from e2e.servers import launch
from urllib3.exceptions import HTTPError

GATES, BRAINS = ("gate-a", "gate-b"), ("brain-a", "brain-b")
OURS = (*GATES, *BRAINS)
ETCD, API_SERVER, SCHEDULER = "etcd", "kube-apiserver", "kube-scheduler"
OTHERS = (ETCD, API_SERVER, "kube-controller-manager", SCHEDULER)
_KWOK = "kwok"
_ERROR = re.compile(r"[\w.]+(Error|Exception|Timeout)\b")
_LOOK_S = 0.25
_PATIENCE_S = 1.0
"""Between two starts of a program that ends again and again."""


class Programs:
    def __init__(self, installed, how, figures):
        """`how`: name of one of ours -> what `launch` needs besides."""
        self._installed = installed
        self._cluster = installed.cluster
        self._how = how
        self._figures = figures
        self._others = {p.name: p for p in self._cluster.processes}
        self._killed = {}
        """Name -> when it was, or ended by itself; until it is back."""
        self._dead = set()
        """Those that we have killed and not started again."""
        self._stopped = {}
        """Name -> when it goes on."""
        self._started = {}
        self._looked = 0.0
        self.ended_alone = []
        """Ours that nobody has killed, in words."""

    def process(self, name):
        return self._installed.servers[name] if name in OURS else self._others[name]

    @property
    def hurt(self):
        """Those that are stopped, or killed and not back yet."""
        return {*self._stopped, *self._killed}

    # -- faults ----------------------------------------------------------------------------------

    def kill(self, name):
        self._stopped.pop(name, None)
        if name in self._killed:
            self._figures.count("kills before it was ready")
        self._killed[name] = time.monotonic()
        self._dead.add(name)
        self._figures.count(f"kills of {name}")
        self.process(name).kill()

    def stop(self, name, seconds):
        """SIGSTOP; SIGCONT so many seconds later."""
        if name not in self._stopped and self.process(name).running:
            self._stopped[name] = time.monotonic() + seconds
            self._figures.count(f"stops of {name}")
            self.process(name).signal(signal.SIGSTOP)

    def heal(self):
        self._stopped = dict.fromkeys(self._stopped, 0.0)
        self.tend()

    # -- care ------------------------------------------------------------------------------------

    def tend(self):
        now = time.monotonic()
        for name in [n for n, until in self._stopped.items() if until <= now]:
            del self._stopped[name]
            self.process(name).signal(signal.SIGCONT)
        for name in (*OTHERS, *OURS):
            if not self.process(name).running:
                self._start_again(name, now)
        if now - self._looked > _LOOK_S:
            self._looked = now
            for name in list(self._killed):
                self._look_after(name)

    def _start_again(self, name, now):
        if name == API_SERVER and ETCD in self._killed:
            return  # it ends at once without
        if name not in self._dead:
            if now - self._started.get(name, 0.0) < _PATIENCE_S:
                return
            self._killed.setdefault(name, now)
            self._note_end(name)
        self._dead.discard(name)
        self._started[name] = now
        if name in OURS:
            launch(self._installed, name, *self._how[name].flags, program=self._how[name].program)
        else:
            self.process(name).start()

    def _note_end(self, name):
        self._figures.count(f"ends of {name} by itself")
        if name in OURS:
            process = self.process(name)
            self.ended_alone.append(f"{name} ended by itself; {process.log}:\n{process.tail(30)}")

    def _look_after(self, name):
        if not self.process(name).running or not self._is_back(name):
            return
        self._figures.took(f"from the kill of {name} until it was ready", self._since(name))
        del self._killed[name]
        if name in (ETCD, API_SERVER):  # its nodes stay NotReady otherwise
            self._others[_KWOK].kill()
            self._others[_KWOK].start()

    def _since(self, name):
        return time.monotonic() - self._killed[name]

    def _is_back(self, name):
        if name in OURS:
            return self._is_ready(name)
        if name in (ETCD, API_SERVER):
            return self._cluster.api.ready()
        return True  # nothing depends on when it leads again

    def _is_ready(self, name):
        path = self._cluster.folder / f"{name}.ports"
        with suppress(OSError, ValueError, HTTPError):
            port = json.loads(path.read_text())["health"]
            url = f"http://127.0.0.1:{port}/readyz"
            return urllib3.request("GET", url, timeout=0.5, retries=False).status == 200
        return False

    def tracebacks(self):
        """Of ours: the last line of each, and how often."""
        found = Counter()
        for name in OURS:
            lines = self.process(name).log.read_text(errors="replace").splitlines()
            inside = False
            for line in lines:
                inside = inside or "Traceback (most recent call last)" in line
                if inside and _ERROR.match(line.strip(" |")):
                    found[f"{name.partition('-')[0]}: {line.strip(' |')[:200]}"] += 1
                    inside = False
        return found

    # -- memory ----------------------------------------------------------------------------------

    def measure_memory(self, begun):
        """Resident memory of ours that are past their start."""
        for name in OURS:
            if name in self.hurt or not self.process(name).running:
                continue
            mb = _resident_mb(self.process(name).pid)
            if mb is not None:
                self._figures.memory(name.partition("-")[0], time.monotonic() - begun, mb)


def _resident_mb(pid):
    with suppress(OSError), open(f"/proc/{pid}/status") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return None
