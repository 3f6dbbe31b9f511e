"""A `serve` process whose API server is away: it lives, says why it is not ready, and ends when it
is asked to.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.serving import serving

from lws_placement.localcluster.cluster import free_ports

ROLES = ("gate", "brain", "planner", "gate,brain")


@pytest.mark.parametrize("roles", ROLES)
def test_where_nobody_listens(tmp_path, roles):
    (nobody,) = free_ports(1)
    with serving(tmp_path, nobody, f"--roles={roles}") as process:
        _, why = process.wait_for("/readyz", lambda answer: "not reached" in answer[1])
        assert why.startswith("not ready: API server not reached: ")
        assert f"127.0.0.1:{nobody}" in why
        assert process.ask("/healthz") == (200, "ok")
        assert process.ask("/readyz")[0] == 503
        process.terminate()
        assert process.ended() == 0, process.log.read_text()
        assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize("roles", ROLES)
def test_where_nobody_answers(tmp_path, roles):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serving(tmp_path, silent.getsockname()[1], f"--roles={roles}") as process,
    ):
        connection, _ = silent.accept()
        with connection:
            assert process.ask("/healthz") == (200, "ok")
            status, why = process.ask("/readyz")
            assert status == 503
            assert why.startswith("not ready: ")
            process.terminate()
            assert process.ended() == 0, process.log.read_text()
        assert "Traceback" not in process.log.read_text()


def test_where_the_program_that_makes_credentials_never_ends(tmp_path):
    began, end = tmp_path / "began", tmp_path / "end"
    for fifo in (began, end):
        os.mkfifo(fifo)
    script = f"echo > {began}; cat {end}"
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}}
    user["exec"]["args"] = ["-c", script]
    with serving(tmp_path, 1, "--roles=gate", user=user) as process:
        began.read_text()
        assert process.ask("/healthz") == (200, "ok")
        assert process.ask("/readyz") == (503, "not ready: starting")
        process.terminate()
        assert process.ended() == 0, process.log.read_text()
    end.write_text("")


def test_it_may_open_as_many_files_as_the_machine_allows(tmp_path):
    """A soft limit below the connections that strangers may open would leave none for our own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # what it starts with
    try:
        (nobody,) = free_ports(1)
        with serving(tmp_path, nobody, "--roles=gate") as process:
            process.wait_for("/healthz", lambda answer: answer[0] == 200)
            limits = Path(f"/proc/{process.popen.pid}/limits").read_text()
            (line,) = [one for one in limits.splitlines() if one.startswith("Max open files")]
            assert line.split()[3:5] == [str(hard), str(hard)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_while_a_verb_is_loaded_sigterm_ends_it():
    """A container's first process has no default actions: only a handler makes it end."""
    program = (
        "import os, signal, time; from lws_placement.cli import main\n"
        "main.import_module = lambda name: os.kill(os.getpid(), signal.SIGTERM)\n"
        "main.main()"
    )
    done = subprocess.run([sys.executable, "-c", program, "serve"], check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM


def test_serve_loads_nothing_that_draws_on_a_terminal():
    program = "import sys, lws_placement.cli.serve; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
