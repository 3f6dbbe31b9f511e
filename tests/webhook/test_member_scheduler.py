"""Members are left to a second scheduler, where there is one; nobody else is."""

import pytest
from click.testing import CliRunner
from support.admission import OURS, Lookup, P, a_pod, admit

from lws_placement.cli.main import cli
from lws_placement.engine.admission.pod_gating import Owner, Pin

SECOND = "lws-placement-scheduler"


def in_force(pod):
    return pod["spec"].get("schedulerName")


@pytest.mark.parametrize(
    "asked", [{}, {"schedulerName": ""}, {"schedulerName": "default-scheduler"}]
)
@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("pin", [None, Pin("node-7", "plan")])
async def test_a_member_is_left_to_it_gated_or_pinned(asked, rank, pin):
    pod = await admit(a_pod(rank, **asked), Lookup(pin=pin), member_scheduler=SECOND)
    assert in_force(pod) == SECOND
    again = await admit(pod, Lookup(pin=pin), member_scheduler=SECOND)
    assert again == pod


async def test_a_pod_of_another_kind_of_group_is_left_to_it_as_well():
    class Jobs(Lookup):
        async def owner_of_group_pod(self, pod, namespace):
            return Owner("job")

    notes = {f"{OURS}/group-size": "4", f"{OURS}/topology": "rack"}
    meta = {"generateName": "j-", "labels": {f"{OURS}/group": "train"}, "annotations": notes}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    assert in_force(await admit(pod, Jobs(), member_scheduler=SECOND)) == SECOND


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_pod(schedulerName="volcano"), id="it asks for another scheduler"),
        pytest.param(a_pod(nodeName="n"), id="it is bound"),
        pytest.param(a_pod(topology=None), id="a guest"),
        pytest.param(a_pod(notes={f"{OURS}/managed": "false"}), id="not managed"),
        pytest.param(a_pod(topology=None, notes={f"{OURS}/admitted": "gated"}), id="not marked"),
        pytest.param(
            {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}, id="a foreign pod"
        ),
    ],
)
async def test_no_other_pod_is(pod):
    assert in_force(await admit(pod, member_scheduler=SECOND)) == pod["spec"].get("schedulerName")


async def test_without_the_setting_or_without_placing_nobody_is():
    assert in_force(await admit(a_pod())) is None
    assert in_force(await admit(a_pod(), placing=False, member_scheduler=SECOND)) is None


async def test_a_webhook_after_us_that_takes_it_back_is_set_right_by_the_reinvocation():
    pod = await admit(a_pod(), member_scheduler=SECOND)
    pod["spec"]["schedulerName"] = "default-scheduler"
    assert pod["metadata"]["labels"][f"{P}/name"]
    assert in_force(await admit(pod, member_scheduler=SECOND)) == SECOND


@pytest.mark.parametrize("name", ["Upper", "a b", "-a", "a" * 254, "a/b", "a\n"])
def test_a_name_that_no_scheduler_can_have_is_refused(name):
    done = CliRunner().invoke(cli, ["serve", "--member-scheduler", name, "--print-config"])
    assert done.exit_code == 1
    assert "member_scheduler: Value error, must be a schedulerName" in str(done.exception)
