"""Names and keys of LeaderWorkerSet's groups (its pod webhook and pod controller; see KEP-115 and
KEP-257).
"""

import hashlib
import re

from lws_placement.engine.base.whole_numbers import whole_number

_ORDINAL = re.compile(r"(.*)-([0-9]{1,10})", re.DOTALL)


def group_key(namespace: str, leader_pod: str) -> str:
    """Lower-hex SHA-1 of `<namespace>/<leader pod name>`: stable over restarts and revisions."""
    return hashlib.sha1(f"{namespace}/{leader_pod}".encode(), usedforsecurity=False).hexdigest()


def is_keyed(group_index: str, key: str) -> bool:
    """True if a key made for this incarnation, not an ordinal, identifies the group
    (LeaderWorkerSet's `groupIdentity: Hash`, KEP-898). Both labels then have that key.
    """
    return group_index == key != ""


def subgroup_key(leader_pod: str, subgroup_index: str) -> str:
    """SHA-1 of `<leader pod name>/<subgroup index>`; LeaderWorkerSet omits the namespace."""
    text = f"{leader_pod}/{subgroup_index}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def member_name(leader_pod: str, rank: int) -> str:
    """("llm-0", 3) -> `llm-0-3`; the leader has rank 0."""
    return f"{leader_pod}-{rank}" if rank else leader_pod


def parent_and_ordinal(pod_name: str) -> tuple[str, int] | None:
    """`llm-0-3` -> ("llm-0", 3); None if the name does not end in an ordinal."""
    match = _ORDINAL.fullmatch(pod_name)
    ordinal = whole_number(match.group(2)) if match else None
    return (match.group(1), ordinal) if match and ordinal is not None else None


def subgroup_index(worker: int, *, size: int, subgroup_size: int) -> int:
    """Subgroup of a worker; the leader counts as a member unless only size-1 is divisible."""
    if (size - 1) % subgroup_size == 0 and size % subgroup_size != 0:
        return (worker - 1) // subgroup_size
    return worker // subgroup_size
