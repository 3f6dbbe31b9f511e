"""Nodes with equal devices share an answer: each node gets the one that it gets alone."""

from hypothesis import given
from hypothesis import strategies as st
from support.device_cluster import Cluster, a_group
from support.devices import a_claim, a_class, a_device, a_request, a_slice, a_template
from support.ruled_groups import verdicts

TAINT = {"key": "broken", "effect": "NoSchedule"}

devices = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["a", "b"]),
        "numa": st.sampled_from([1, 2]),
        "serial": st.integers(0, 99),
        "capacity": st.sampled_from([{"memory": {"value": "1Gi"}}, {"memory": {"value": "2Gi"}}]),
        "taints": st.just([TAINT]),
        "allowMultipleAllocations": st.just(True),
    },
)
expressions = st.sampled_from(
    [
        'device.attributes["gpu.example.com"].model == "a"',
        "device.attributes['gpu.example.com'].numa > 1",
        'device.capacity["gpu.example.com"].memory.compareTo(quantity("2Gi")) >= 0',
        "has(device.attributes)",
        "1 +",
    ]
)
requests = st.builds(
    lambda some, number, every: a_request(
        "gpu", *some, **({"allocationMode": "All"} if every else {"count": number})
    ),
    st.lists(expressions, max_size=1),
    st.integers(1, 3),
    st.booleans(),
)
constraints = st.sampled_from(
    [(), ({"requests": ["r"], "matchAttribute": "gpu.example.com/numa"},)]
)


@given(
    st.lists(st.lists(devices, max_size=3), min_size=2, max_size=4),
    requests,
    constraints,
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=3),
)
def test_a_node_gets_the_answer_that_it_gets_alone(nodes, request, among, used):
    objects = [a_class("gpu"), a_template("t", request, constraints=among)]
    objects += [
        a_slice(f"s{n}", *(a_device(f"d{i}", **d) for i, d in enumerate(some)), node=f"n{n}")
        for n, some in enumerate(nodes)
        if some
    ]
    objects += [
        a_claim(f"c{n}-{i}", devices=[f"d{i}"], node=f"n{n}", users=["u"])
        for n, i in sorted(used)
        if n < len(nodes) and i < len(nodes[n])
    ]
    together = verdicts(Cluster(*objects, nodes=len(nodes)), a_group(1))
    for number in range(len(nodes)):
        alone = Cluster(*objects, nodes=len(nodes))
        alone.nodes = {f"n{number}": alone.nodes[f"n{number}"]}
        assert verdicts(alone, a_group(1)) == {f"n{number}": together[f"n{number}"]}


def test_nodes_that_differ_in_what_nobody_reads_are_looked_at_once():
    slices = [
        a_slice(f"s{n}", a_device("d0", serial=n, model="a"), node=f"n{n}") for n in range(50)
    ]
    reads = 'device.attributes["gpu.example.com"].model == "a"'
    objects = [a_class("gpu"), a_template("t", a_request("gpu", reads, count=2)), *slices]
    cluster = Cluster(*objects, nodes=50)
    assert set(verdicts(cluster, a_group(1)).values()) == {"too few free devices for its claim dev"}
    (found,) = cluster.index._verdicts.values()
    assert len(found.on) == 50
    assert len(list(found.alike)) == 1
