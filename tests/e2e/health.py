"""What kubelet and kubeadm ask kube-scheduler on its secure port."""

import ssl
import time
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener


def wait_healthy(process, port):
    """Until it answers ok to all of it."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=unverified))
    until = time.monotonic() + 60
    for path in ("healthz", "livez", "readyz"):
        while not answers_ok(opener, f"https://127.0.0.1:{port}/{path}"):
            process.check()
            assert time.monotonic() < until, process.tail()
            time.sleep(0.05)


def answers_ok(opener, url):
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.read() == b"ok"
    except (URLError, OSError):
        return False
