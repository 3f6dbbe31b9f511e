"""Leases that an earlier version has written are read, and written again byte for byte: `wire/` has
them as version 0.1.0 made them. A new field gets a file of its own; these stay.
"""

import json
from pathlib import Path

import pytest

from lws_placement.cluster.codec.failure_lease import decode_failures, encode_failures
from lws_placement.cluster.codec.hold_lease import decode_holds, encode_holds
from lws_placement.engine.model.groups import GroupKind
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.objects.placement_request import Scope

WIRE = Path(__file__).parent / "wire"
HOLDS = sorted(WIRE.glob("hold-*.json"))


@pytest.mark.parametrize("file", HOLDS, ids=[file.stem for file in HOLDS])
def test_holds_of_an_earlier_version(file):
    lease = json.loads(file.read_text())
    assert encode_holds(decode_holds(lease), namespace="ns-ours") == lease


def test_failures_of_an_earlier_version():
    lease = json.loads((WIRE / "failures.json").read_text())
    assert encode_failures(decode_failures(lease), namespace="ns-ours") == lease


def test_what_is_meant_by_them():
    def read(name):
        return decode_holds(json.loads((WIRE / f"hold-{name}.json").read_text()))

    assert {h.state for name in ("active", "shared") for h in read(name)} == {HoldState.ACTIVE}
    assert [h.scope for h in read("shared")] == [Scope.NAMESPACE, Scope.LWS]
    (anywhere,) = read("anywhere")
    assert (anywhere.domain.anywhere, anywhere.scope) == (True, Scope.NOBODY)
    (pod,) = read("pod")
    assert (pod.group.kind, pod.state) == (GroupKind.POD, HoldState.COMING)
    (coming,) = read("coming")
    assert [g.lws for g in coming.evicts] == ["job", "foreign"]
