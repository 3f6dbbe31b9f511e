"""A group's identity as JSON, and back."""

from lws_placement.cluster.codec.objects import checked_text
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId


def encode_group(group: GroupId) -> Raw:
    return {
        "namespace": group.namespace,
        "lws": group.lws,
        "lwsUid": group.lws_uid,
        "groupKey": group.group_key,
    }


def decode_group(raw: Raw) -> GroupId:
    parts = ("namespace", "lws", "lwsUid", "groupKey")
    return GroupId.read(*(checked_text(raw[part]) for part in parts))
