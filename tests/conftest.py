"""`--e2e` adds the end-to-end tests, `--peers` those of them that need the managers of other
projects, `--node` those on a real node; `pytest` alone has none of them.
"""

import gc
import random
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "busy machine",
    parent=settings(),  # what CI has of its own
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busy machine")

# What `nohup` or a script starts in the background ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--e2e", action="store_true", help="also run against a real control plane")
    parser.addoption("--node", action="store_true", help="also run on a real kubeadm node")
    parser.addoption("--keep", action="store_true", help="leave the real node for a look")
    parser.addoption("--peers", action="store_true", help="also beside real other managers")


def pytest_ignore_collect(collection_path, config):
    name = collection_path.name
    if name in ("e2e", "node") and not config.getoption(f"--{name}"):
        return True
    return None


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--peers"):
        config.hook.pytest_deselected(items=[i for i in items if i.get_closest_marker("peers")])
        items[:] = [i for i in items if not i.get_closest_marker("peers")]


def pytest_collection_finish(session):
    """What was imported stays, so the garbage collector need not look at it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def same_jitter():
    """Delays are shortened at random (`backoff.py`): the same way in each run."""
    random.seed(0)


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Prints a line for the person who waits."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def line(text):
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True)

    return line


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Keeps the outcome on the item, so that fixtures can show logs of failed tests."""
    outcome = yield
    setattr(item, f"outcome_{call.when}", outcome.get_result())
