"""Annotations of nodes that cluster autoscalers must not take away for a while.

What a node had before is remembered on it, so that whoever lets it go, this planner or the next one
or `uninstall`, gives it back. A value that somebody has changed meanwhile stays.
"""

import json
from collections.abc import Mapping

from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw

_LONGEST = 1000
_NOTHING: Mapping[str, str] = {}


def about_scale_down(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """Those of a node's annotations that matter here. A value that nobody means seriously is cut
    off.
    """
    ours = (keys.KEPT, *keys.KEEPS_NODE)
    return {k: annotations[k][:_LONGEST] for k in ours if k in annotations} or _NOTHING


def encode_keep(scale_down: Mapping[str, str]) -> Raw:
    """The merge patch that keeps a node with these annotations."""
    before = {key: scale_down[key] for key in keys.KEEPS_NODE if key in scale_down}
    return _patch({**keys.KEEPS_NODE, keys.KEPT: json.dumps(before, separators=(",", ":"))})


def encode_let_go(scale_down: Mapping[str, str]) -> Raw:
    """The merge patch that gives a kept node back what it had."""
    try:
        before = json.loads(scale_down.get(keys.KEPT, ""))
    except (ValueError, RecursionError):
        before = {}
    notes: dict[str, str | None] = {keys.KEPT: None}
    for key, value in keys.KEEPS_NODE.items():
        old = before.get(key) if isinstance(before, dict) else None
        if scale_down.get(key) == value:
            notes[key] = old if isinstance(old, str) else None
    return _patch(notes)


def _patch(annotations: Mapping[str, str | None]) -> Raw:
    return {"metadata": {"annotations": dict(annotations)}}
