"""A seed gives one cluster and its groups, and a feature that is off occurs nowhere in them."""

import json

import pytest
from support.random_clusters import FEATURES, NODE_FEATURES, features_named, random_cluster
from support.random_groups import random_group

MARKS = {
    "taints": ("taints", "unschedulable"),
    "selectors": ("nodeSelector", "matchFields"),
    "resources": ("limits",),
    "ports": ("containerPort",),
    "affinity": (),  # as bound pods have terms, too
    "anti-affinity": (),
    "existing": (),
    "spread": ("topologySpreadConstraints",),
    "volumes": ("persistentVolumeClaim", "ephemeral", "PersistentVolume", "CSINode"),
    "devices": ("resourceClaims", "ResourceSlice", "DeviceClass"),
}


def written(seed, features=FEATURES):
    """The cluster as text; tolerations, which bound pods always have, say nothing of taints."""
    made = random_cluster(seed, features, pods=40)
    pods = [p.raw for p in (*made.bound, *made.asking)]
    objects = [*made.namespaces, *made.nodes, *pods, *made.storage.objects, *made.devices.objects]
    groups = [random_group(made, number, features) for number in range(20)]
    return json.dumps([*objects, *(g.pods for g in groups), *(g.order for g in groups)])


def test_a_seed_gives_the_same_cluster_again():
    assert written(7) == written(7)
    assert written(7) != written(8)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_that_is_off_occurs_nowhere(feature):
    """Slices and claims have fields of the same names as nodes and pods."""
    without = written(1, tuple(f for f in FEATURES if f not in (feature, "devices")))
    for mark in MARKS[feature]:
        assert f'"{mark}"' in written(1)
        assert f'"{mark}"' not in without


def test_terms_about_other_pods_are_off_with_their_features():
    without = written(1, NODE_FEATURES)
    assert '"podAffinity"' not in without
    assert '"podAntiAffinity"' not in without


def test_features_are_named_singly_or_together():
    assert features_named("spread,nodes") == (*NODE_FEATURES, "spread")
    assert features_named("all") == FEATURES
    with pytest.raises(AssertionError, match="not all of these"):
        features_named("clouds")
