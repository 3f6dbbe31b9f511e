"""Adds our flag and volume to kube-scheduler's static pod on a kubeadm machine, and removes them.

kubelet runs `kube-scheduler.yaml`, and kubeadm rewrites that file with each upgrade. So the change
has two forms: an edit of the file, and a patch for kubeadm's `--patches`. The patch puts the flag
into `args`, which follow the container's `command`: a strategic merge replaces a list of strings as
a whole, so a patch of `command` would have to repeat the flags of one kubeadm version.

The edit works line by line. All other lines stay as they are, and undoing the change restores the
same bytes. The edited text is parsed and compared with the same change of the parsed object: a file
in an unusual style is refused, never broken.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import yaml

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import SettingsError
from lws_placement.kube_scheduler.config import CONFIGURATION
from lws_placement.kube_scheduler.yaml_lines import Lines, member, members, read_mapping

FOLDER = "/etc/kubernetes/lws-placement"
PATCH_NAME = "kube-scheduler+strategic.yaml"
"""kubeadm's naming: the component, then the merge strategy."""

_CONTAINER = "kube-scheduler"
_VOLUME = "lws-placement"
_FLAG = "--config"
_PATCH_HEADER = (
    f"# {PATCH_NAME}, for the folder that kubeadm init, join and upgrade take as --patches.\n"
    "# Made by `lws-placement scheduler-config --kubeadm`.\n"
)


def as_patch(folder: str = FOLDER) -> str:
    """The change as a strategic merge patch; `folder`: where kube-scheduler finds its files."""
    container = {"name": _CONTAINER, "args": [_flag(folder)], "volumeMounts": [_mount(folder)]}
    patch = {"spec": {"containers": [container], "volumes": [_volume(folder)]}}
    return _PATCH_HEADER + yaml.safe_dump(patch, default_flow_style=False)


def put_in(text: str, folder: str = FOLDER) -> str:
    """The manifest with the change; unchanged if it has the change already.

    Raises SettingsError if the text is not a static pod of kube-scheduler, or has another --config
    or a volume of our name.
    """
    pod = read_mapping(text)
    container = _container(pod)
    if _is_in(pod, container, folder):
        return text
    _refuse_others(pod, container)
    lines = Lines(text)
    for owner, node, key, item in (
        (container, _container_node(lines), _flags_key(container), _flag(folder)),
        (container, _container_node(lines), "volumeMounts", _mount(folder)),
        (pod["spec"], member(lines.root, "spec"), "volumes", _volume(folder)),
    ):
        lines.append(node, key, item)
        owner[key] = [*owner.get(key, ()), _as_read(item)]
    return _checked(lines, pod)


def take_out(text: str) -> str:
    """The manifest without the change; unchanged if it has nothing of ours.

    Raises SettingsError if the text is not a static pod of kube-scheduler.
    """
    pod = read_mapping(text)
    container = _container(pod)
    mounts = filter(_is_ours, _dicts(container, "volumeMounts"))
    flags = {_flag(FOLDER)} | {_flag(str(m.get("mountPath"))) for m in mounts}
    lines = Lines(text)
    for owner, node, key, ours in (
        (container, _container_node(lines), "command", flags.__contains__),
        (container, _container_node(lines), "args", flags.__contains__),
        (container, _container_node(lines), "volumeMounts", _is_ours),
        (pod["spec"], member(lines.root, "spec"), "volumes", _is_ours),
    ):
        lines.remove(node, key, _drop(owner, key, ours))
    return _checked(lines, pod)


def names_us(pod: Raw) -> bool:
    """True if kube-scheduler's pod on the API server contains the change or a part of it."""
    spec = pod["spec"]
    containers = spec.get("containers") or ()
    flags = [f for c in containers for f in (*(c.get("command") or ()), *(c.get("args") or ()))]
    return any(map(_is_ours, spec.get("volumes") or ())) or _flag(FOLDER) in flags


def _drop(owner: Raw, key: str, ours: Callable[[Any], bool]) -> set[int]:
    """Removes our items from the parsed list, and an empty list from its owner. Returns their
    indexes.
    """
    items = owner.get(key) or []
    gone = {i for i, item in enumerate(items) if ours(item)}
    if gone:
        owner[key] = [item for i, item in enumerate(items) if i not in gone]
        if not owner[key]:
            del owner[key]
    return gone


def _checked(lines: Lines, wanted: Raw) -> str:
    text = lines.text()
    try:
        same = read_mapping(text) == wanted
    except SettingsError:
        same = False
    if not same:
        raise SettingsError(
            "is written in a way that cannot be edited line by line; make the change by hand "
            "(`lws-placement scheduler-config --kubeadm` shows it)"
        )
    return text


# -- the change ----------------------------------------------------------------------------------


def _flag(folder: str) -> str:
    return f"{_FLAG}={PurePosixPath(folder) / CONFIGURATION}"


def _mount(folder: str) -> Raw:
    return {"name": _VOLUME, "mountPath": folder, "readOnly": True}


def _volume(folder: str) -> Raw:
    # kubelet reports a missing folder; with DirectoryOrCreate it would make an empty one.
    return {"name": _VOLUME, "hostPath": {"path": folder, "type": "Directory"}}


def _as_read(item: str | Raw) -> Any:
    return yaml.load(yaml.safe_dump([item]), Loader=yaml.BaseLoader)[0]


# -- the manifest ---------------------------------------------------------------------------------


def _container(pod: Raw) -> Raw:
    """kube-scheduler's container. Raises SettingsError if a list to be edited is malformed."""
    if (pod.get("apiVersion"), pod.get("kind")) != ("v1", "Pod"):
        raise SettingsError(
            f"is no static pod: apiVersion {pod.get('apiVersion')!r}, kind {pod.get('kind')!r} "
            "in place of v1, Pod"
        )
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise SettingsError("spec is not an object")
    _dicts(spec, "volumes")
    found = [c for c in _dicts(spec, "containers") if c.get("name") == _CONTAINER]
    if len(found) != 1:
        raise SettingsError(f"spec.containers has {len(found)} containers named {_CONTAINER}")
    container: Raw = found[0]
    _dicts(container, "volumeMounts")
    for key in ("command", "args"):
        _list(container, key, str)
    return container


def _list(owner: Raw, key: str, kind: type) -> list[Any]:
    found = owner.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
        what = "objects" if kind is dict else "strings"
        raise SettingsError(f"{key} is not a list of {what}")
    return found


def _dicts(owner: Raw, key: str) -> list[Raw]:
    return _list(owner, key, dict)


def _container_node(lines: Lines) -> yaml.MappingNode:
    containers = members(member(lines.root, "spec"), "containers")
    return next(
        node
        for node in containers
        if any(k.value == "name" and v.value == _CONTAINER for k, v in node.value)
    )


def _flags_key(container: Raw) -> str:
    key = "args" if container.get("args") else "command"
    if not container.get(key):
        raise SettingsError(f"container {_CONTAINER} has neither command nor args")
    return key


def _is_ours(entry: Raw) -> bool:
    return entry.get("name") == _VOLUME


def _is_in(pod: Raw, container: Raw, folder: str) -> bool:
    flags = [*container.get("command", ()), *container.get("args", ())]
    return (
        _flag(folder) in flags
        and _as_read(_mount(folder)) in container.get("volumeMounts", ())
        and _as_read(_volume(folder)) in pod["spec"].get("volumes", ())
    )


def _refuse_others(pod: Raw, container: Raw) -> None:
    volumes = [*_dicts(container, "volumeMounts"), *_dicts(pod["spec"], "volumes")]
    if any(map(_is_ours, volumes)):
        raise SettingsError(
            f"there is a volume {_VOLUME} already, for another folder or with a part of the change "
            "missing: take it out first (--undo)"
        )
    flags = [*container.get("command", ()), *container.get("args", ())]
    for flag, following in pairwise([*flags, ""]):
        name, _, value = flag.partition("=")
        if name == _FLAG:
            raise SettingsError(
                f"kube-scheduler has {_FLAG}={value or following} already: add the extenders of "
                "`lws-placement scheduler-config --out FOLDER` to that file instead, or take the "
                "flag out first"
            )
