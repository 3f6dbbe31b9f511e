"""No kind of write is forgotten by the tests that kill at writes (`write_kinds.py`)."""

from pathlib import Path

import pytest
from support.write_kinds import Kind, UnknownWriteError, kind_of

KILLS = sorted((Path(__file__).parent / "e2e").glob("test_killed_*.py"))


def test_every_kind_of_write_is_killed_at_on_the_real_api_server():
    text = "".join(path.read_text() for path in KILLS)
    assert [kind for kind in Kind if f"Kind.{kind.name}" not in text] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/v1/namespaces/ns/pods/p"),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/l"),
        ("POST", "/api/v1/namespaces/ns/configmaps"),
    ],
)
def test_a_write_that_is_of_no_kind_is_an_error(method, path):
    with pytest.raises(UnknownWriteError):
        kind_of(method, path, {"metadata": {"annotations": {"something": "new"}}})
