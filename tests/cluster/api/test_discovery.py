"""What is found on a cluster is asked of it; what may not be read is unknown, never a failure."""

import pytest

from lws_placement.cluster.api.discovery import look_around
from lws_placement.errors import ApiError, NotFoundError
from lws_placement.inspect.found import found_json, found_lines

WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/lws-placement-lws"
PODS = "/api/v1/namespaces/kube-system/pods"
SCALING = "/apis/autoscaling.x-k8s.io/v1"
SERVED = (
    "apps/v1",
    "events.k8s.io/v1",
    "policy/v1",
    "coordination.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "admissionregistration.k8s.io/v1",
)
LWS = ("leaderworkerset.x-k8s.io/v1", "leaderworkerset.x-k8s.io/v1alpha1")


class AnApi:
    """An API server of `version` that serves these; `refuses`: paths and the status of the answer.

    As of a cluster beside upstream's LeaderWorkerSet, on kubeadm's control plane.
    """

    def __init__(
        self, *, version="v1.37.2", served=SERVED + LWS, images=(), refuses=None, scaling=()
    ):
        names = {}
        for one in served:
            names.setdefault(one.partition("/")[0], []).append({"groupVersion": one})
        groups = [{"name": name, "versions": versions} for name, versions in names.items()]
        pods = [{"spec": {"containers": [{"image": image}]}} for image in images]
        self._answers = {
            "/version": {"gitVersion": version},
            "/apis": {"groups": groups},
            PODS: {"items": pods},
            WEBHOOK: {},
            SCALING: {"resources": [{"name": name} for name in scaling]},
        }
        self._refuses = {WEBHOOK: 404, **(refuses or {})}

    async def get(self, path, *, params=None):
        status = self._refuses.get(path, 200)
        if status == 404:
            raise NotFoundError(f"GET {path}: 404", status=404)
        if status != 200:
            raise ApiError(f"GET {path}: {status}", status=status)
        return self._answers[path]

    async def list(self, path, **params):
        assert params["labelSelector"] == "component=kube-scheduler"
        return await self.get(path)


async def lines(**more):
    return found_lines(await look_around(AnApi(**more)))


async def test_versions_are_told_in_one_line():
    images = ["registry.k8s.io/kube-scheduler:v1.37.2"]
    assert await lines(images=images) == [
        "Kubernetes v1.37.2; kube-scheduler v1.37.2; LeaderWorkerSet v1, v1alpha1, "
        "carried out by upstream's controller"
    ]


async def test_our_own_webhook_shows_that_the_built_in_controller_is_installed():
    (line,) = await lines(refuses={WEBHOOK: 200})
    assert line.endswith("LeaderWorkerSet v1, v1alpha1, carried out by the built-in controller")


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "kube-scheduler of unknown version"),
        (["example.com:5000/kube-scheduler@sha256:00"], "kube-scheduler of unknown version"),
        (["example.com:5000/kube-scheduler:v1.35.4@sha256:00"], "kube-scheduler v1.35.4"),
        (["a/b:v1.36.3", "a/b:v1.37.2", "a/b:v1.36.3"], "kube-scheduler v1.36.3, v1.37.2"),
    ],
)
async def test_the_scheduler_is_known_by_its_image_if_at_all(images, says):
    (line,) = await lines(images=images)
    assert line.split("; ")[1] == says


async def test_what_is_missing_is_told_with_what_follows():
    first, *missing = await lines(served=[s for s in SERVED if not s.startswith("events")])
    assert "LeaderWorkerSet" not in first
    assert missing == [
        "missing: leaderworkerset.x-k8s.io/v1: no replica of lws-placement gets ready; install "
        "LeaderWorkerSet, or manifests/crd with manifests/standalone",
        "missing: events.k8s.io/v1: no Events are written; `explain` and `status` still tell",
    ]


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("v1.33.9", True),
        ("v1.33.11-gke.1000", True),
        ("v1.34.0", False),
        ("v1.34.4-eks-3025e55", False),
        ("v1.35.0+k3s1", False),
        ("v1.38.0-beta.0", False),
        ("v2.0.0", False),
        ("v1." + "9" * 50, False),
        ("", False),
    ],
)
async def test_a_version_that_is_too_old_is_said_in_words(version, old):
    _, *more = await lines(version=version)
    says = f"unsupported: the API server is {version}; lws-placement is not tested with Kubernetes"
    assert more == ([f"{says} before 1.34"] if old else [])


async def test_an_old_scheduler_of_a_new_cluster_is_too_old():
    (_, says) = await lines(images=["registry.k8s.io/kube-scheduler:v1.33.4"])
    assert says.startswith("unsupported: kube-scheduler is v1.33.4; ")


@pytest.mark.parametrize("status", [401, 403])
async def test_what_may_not_be_read_is_unknown_and_not_missing(status):
    may_not = dict.fromkeys(("/version", "/apis", PODS, WEBHOOK), status)
    assert await lines(refuses=may_not) == [
        "Kubernetes of unknown version; kube-scheduler of unknown version"
    ]
    (line,) = await lines(refuses={PODS: status, WEBHOOK: status})
    assert line == (
        "Kubernetes v1.37.2; kube-scheduler of unknown version; LeaderWorkerSet v1, v1alpha1"
    )


async def test_an_api_server_that_does_not_answer_is_no_cluster_without_anything():
    with pytest.raises(ApiError):
        await look_around(AnApi(refuses={"/version": 0}))


async def test_scripts_get_the_same_in_fields():
    found = await look_around(AnApi(version="v1.33.1", served=LWS[:1]))
    assert found_json(found) == {
        "apiServer": "v1.33.1",
        "kubeScheduler": [],
        "leaderWorkerSet": {"versions": ["v1"], "controller": "upstream"},
        "autoscaler": "",
        "unsupported": found.unsupported,
        "missing": [{"what": one.what, "follows": one.follows} for one in found.missing],
    }
    assert {one.what for one in found.missing} == set(SERVED)


@pytest.mark.parametrize(
    ("group", "program"),
    [("karpenter.sh/v1", "Karpenter"), ("autoscaling.x-k8s.io/v1", "Cluster Autoscaler")],
)
async def test_a_cluster_autoscaler_is_known_by_its_api(group, program):
    found = await look_around(AnApi(served=(*SERVED, group)))
    assert found.autoscaler == program
    assert found_json(found)["autoscaler"] == program
    assert found_lines(found)[0].endswith(f"; {program}")


@pytest.mark.parametrize(
    ("served", "scaling", "found"),
    [
        ("autoscaling.x-k8s.io/v1", ["provisioningrequests", "provisioningrequests/status"], True),
        ("autoscaling.x-k8s.io/v1", ["capacitybuffers"], False),
        ("autoscaling.x-k8s.io/v1beta1", ["provisioningrequests"], False),
    ],
)
async def test_provisioning_requests_count_in_the_version_that_we_write(served, scaling, found):
    api = AnApi(served=(*SERVED, served), scaling=scaling)
    assert (await look_around(api)).provisioning_requests == found


async def test_without_such_an_api_there_is_none():
    assert (await look_around(AnApi())).autoscaler == ""
