"""Our gate comes off all pods that wait, whatever happens to one of them."""

import pytest
from click.testing import CliRunner
from support.fake_server import FakeServer
from support.fakes import FakeApi

from lws_placement.cli.leave.gates import gated_pods, gates_of, release_pod, take_all_gates_off
from lws_placement.cli.leave.release import release_pods
from lws_placement.cli.main import cli
from lws_placement.engine.base import keys
from lws_placement.errors import ApiError

OTHER = "example.com/other"


def a_gated_pod(name, *gates):
    return {
        "metadata": {"namespace": "users", "name": name, "annotations": {keys.CONDITION: "waits"}},
        "spec": {"schedulingGates": [{"name": gate} for gate in gates]},
        "status": {"phase": "Pending"},
    }


@pytest.fixture
def api():
    server = FakeServer()
    for name, *gates in (("a", keys.GATE, OTHER), ("b", keys.GATE), ("c", OTHER), ("d",)):
        server.create("pods", a_gated_pod(name, *gates), namespace="users")
    return FakeApi(server)


def gates(api):
    return {p["metadata"]["name"]: gates_of(p) for p in api.server.all("pods")}


FREE = {"a": [OTHER], "b": [], "c": [OTHER], "d": []}


async def test_gates_of_others_stay_and_what_said_why_it_waits_goes(api):
    assert [p["metadata"]["name"] for p in await gated_pods(api)] == ["a", "b"]
    await take_all_gates_off(api)
    assert gates(api) == FREE
    waits = [p["metadata"]["name"] for p in api.server.all("pods") if p["metadata"]["annotations"]]
    assert waits == ["c", "d"]


@pytest.mark.parametrize("took_effect", [False, True])
async def test_a_pod_that_changed_meanwhile_is_looked_at_again(api, took_effect):
    api.answer_at(0, 409, took_effect=took_effect)
    await take_all_gates_off(api)
    assert gates(api) == FREE


async def test_one_that_is_refused_keeps_no_other_and_is_named(api):
    api.answer_at(0, 403)
    with pytest.raises(ApiError, match=r"^pod users/a: .*403"):
        await take_all_gates_off(api)
    assert gates(api) == FREE | {"a": [keys.GATE, OTHER]}


async def test_of_many_that_are_released_one_that_is_refused_keeps_no_other(api, capsys):
    api.answer_at(0, 403)
    with pytest.raises(ApiError, match=r"^pod users/a: .*403"):
        await release_pods(api, await gated_pods(api))
    assert gates(api) == FREE | {"a": [keys.GATE, OTHER]}
    released = [p["metadata"]["annotations"].get(keys.RELEASED) for p in api.server.all("pods")]
    assert released == [None, "true", None, None]
    assert capsys.readouterr().out == "pod users/b released\n"


@pytest.mark.parametrize("said", [[], ["lws/llm", "--all"]])
def test_what_is_to_be_released_is_said_in_one_way(said):
    done = CliRunner().invoke(cli, ["release", *said])
    assert done.exit_code == 2
    assert "say lws/NAME, pod/NAME or --all" in done.output


class EndlessApi(FakeApi):
    """Somebody makes a gated pod for each one that is freed."""

    made = 0

    async def patch(self, path, body, **params):
        answer = await super().patch(path, body, **params)
        self.made += 1
        self.server.create("pods", a_gated_pod(f"x-{self.made}", keys.GATE), namespace="users")
        return answer


async def test_pods_that_keep_coming_are_named_in_the_end(api):
    with pytest.raises(ApiError, match=r"keep coming, the last ones users/x-\d+.*pod template"):
        await take_all_gates_off(EndlessApi(api.server))


class BusyApi(FakeApi):
    """The planner says why the pod waits each time somebody has read it, `rounds` times."""

    def __init__(self, server, rounds):
        super().__init__(server)
        self.rounds = rounds

    async def patch(self, path, body, **params):
        if self.rounds:
            self.rounds -= 1
            note = {"metadata": {"annotations": {keys.CONDITION: f"waits {self.rounds}"}}}
            await super().patch(path, note, **params)
        return await super().patch(path, body, **params)


async def test_a_pod_that_the_planner_writes_to_is_released_all_the_same(api):
    pod = (await gated_pods(api))[0]
    assert await release_pod(BusyApi(api.server, 3), pod)
    assert gates(api) == FREE | {"b": [keys.GATE]}
    assert api.server.all("pods")[0]["metadata"]["annotations"] == {keys.RELEASED: "true"}


async def test_a_pod_that_keeps_changing_is_named(api):
    pod = (await gated_pods(api))[0]
    with pytest.raises(ApiError, match=r"^pod users/a keeps changing"):
        await release_pod(BusyApi(api.server, 1_000), pod)


@pytest.mark.parametrize("comes_again", [False, True])
async def test_a_pod_that_is_gone_is_not_released_nor_is_its_successor(api, comes_again):
    pod = (await gated_pods(api))[0]
    api.server.delete("pods", ("users", "a"))
    if comes_again:
        api.server.create("pods", a_gated_pod("a", keys.GATE), namespace="users")
    assert not await release_pod(api, pod)
    assert keys.RELEASED not in str(api.server.all("pods"))
