"""What a case file may say in short, spelled out as `lws-placement simulate` reads it.

`kind: RunningGroup` stands for the pods of one group of a LeaderWorkerSet, the first ranks of it:

    kind: RunningGroup
    name: llm-0                    # its leader pod: the set's name and the group's index
    nodes: [s01-0, s01-1]          # of each pod by rank; null: gated
    requests: {google.com/tpu: 4}  # of each pod
    topology: example.com/slice    # the key of its exclusive topology, if it asks for one
    size: 2                        # left out: as many as nodes
    uid: u1                        # of the LeaderWorkerSet, where admission wrote it into the pods
    priority: 5
"""

import json

import yaml

from lws_placement.engine.base import keys
from lws_placement.engine.base.group_names import group_key

BREAK = "\n---\n"


def spelled_out(text):
    """Documents of other kinds stay as they are, to the letter."""
    return BREAK.join(pod for document in text.split(BREAK) for pod in _pods(document))


def _pods(document):
    if "kind: RunningGroup" not in document:
        return [document]
    given = yaml.safe_load(document)
    del given["kind"]
    return [json.dumps(pod) for pod in running_group(**given)]


def running_group(name, nodes, requests, *, topology=None, size=None, uid=None, priority=None):
    lws, _, index = name.rpartition("-")
    for rank, node in enumerate(nodes):
        notes = {
            keys.LWS_SIZE: str(size or len(nodes)),
            keys.LWS_EXCLUSIVE_TOPOLOGY: topology,
            keys.LWS_LEADER_NAME: name if rank else None,
            keys.LWS_UID: uid,
        }
        owner = name if rank else lws
        yield {
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{rank}" if rank else name,
                "labels": {
                    keys.LWS_NAME: lws,
                    keys.LWS_WORKER_INDEX: str(rank),
                    keys.LWS_GROUP_INDEX: index,
                    keys.LWS_GROUP_KEY: group_key("default", name),
                    keys.LWS_REVISION: "r1",
                },
                "annotations": _given(notes),
                "ownerReferences": [
                    {"kind": "StatefulSet", "name": owner, "uid": "set", "controller": True}
                ],
            },
            "spec": _given(
                {
                    "nodeName": node,
                    "schedulingGates": None if node else [{"name": keys.GATE}],
                    "priority": priority,
                }
            )
            | {"containers": [{"name": "c", "resources": {"requests": requests}}]},
        }


def _given(fields):
    return {name: value for name, value in fields.items() if value is not None}
