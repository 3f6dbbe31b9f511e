"""Pods of groups that have a key of their own in place of an ordinal."""

import pytest
from support.admission import OURS, Lookup, P, a_pod, admit

from lws_placement.engine.admission.pod_gating import Owner

KEY = "3f9a7c1e5b" * 4


def keyed(rank, **more):
    """As it comes to us from a LeaderWorkerSet whose groups have keys in place of ordinals."""
    own = {f"{P}/group-index": KEY, f"{P}/group-key": KEY}
    pod = a_pod(0, labels=own, subdomain="my-lws", **more)
    if rank == 0:
        del pod["metadata"]["name"]
        pod["metadata"]["generateName"] = "my-lws-5c9f-"
        pod["spec"]["hostname"] = KEY[:8]
        return pod
    pod["metadata"]["name"] = f"my-lws-5c9f-x-{rank}"
    del pod["metadata"]["labels"][f"{P}/worker-index"]
    notes = {"leader-address": f"{KEY[:8]}.my-lws.default", "leader-name": "my-lws-5c9f-x"}
    pod["metadata"]["annotations"] |= {f"{P}/{name}": value for name, value in notes.items()}
    return pod


def env_of(pod):
    return {e["name"]: e["value"] for e in pod["spec"]["containers"][0].get("env", ())}


@pytest.mark.parametrize("rank", [0, 2])
async def test_a_member_of_a_group_without_an_ordinal_keeps_its_key_and_finds_its_leader(rank):
    pod = await admit(keyed(rank))
    labels = pod["metadata"]["labels"]
    assert (labels[f"{P}/group-index"], labels[f"{P}/group-key"]) == (KEY, KEY)
    assert labels[f"{P}/worker-index"] == str(rank)
    assert env_of(pod)["LWS_LEADER_ADDRESS"] == f"{KEY[:8]}.my-lws.default"
    assert env_of(pod)["LWS_WORKER_INDEX"] == str(rank)
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    assert await admit(pod) == pod


async def test_tpu_hosts_of_such_a_group_are_given_to_those_who_know_their_leaders_name():
    leader = await admit(keyed(0, tpu=True))
    assert "TPU_WORKER_HOSTNAMES" not in env_of(leader), "it is still to be named"
    notes = {f"{P}/leader-requests-tpus": "true"}
    worker = env_of(await admit(keyed(2, tpu=True, size=3, notes=notes)))
    hosts = [KEY[:8], "my-lws-5c9f-x-1", "my-lws-5c9f-x-2"]
    assert worker["TPU_WORKER_HOSTNAMES"] == ",".join(f"{host}.my-lws" for host in hosts)
    assert worker["TPU_NAME"] == "my-lws-5c9f-x"


async def test_subgroups_of_such_a_group_are_its_own():
    notes = {f"{P}/subgroup-size": "2"}
    leader = await admit(keyed(0, notes=notes))
    worker = await admit(keyed(1, notes=notes))
    label = f"{P}/subgroup-key"
    assert leader["metadata"]["labels"][label] == worker["metadata"]["labels"][label]
    ordinal = await admit(a_pod(0, notes=notes))
    assert ordinal["metadata"]["labels"][label] != leader["metadata"]["labels"][label]


async def test_what_a_set_asks_by_a_typed_field_its_pods_are_told_at_admission():
    class Typed(Lookup):
        async def owner_of(self, pod, namespace):
            return Owner("lws-uid", {f"{P}/exclusive-topology": "typed"})

    note = f"{P}/exclusive-topology"
    pod = await admit(a_pod(topology=""), Typed())
    assert pod["metadata"]["annotations"][note] == "typed"
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    annotated = await admit(a_pod(topology="rack"), Typed())
    assert annotated["metadata"]["annotations"][note] == "rack"
