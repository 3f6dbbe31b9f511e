"""The node selector that a namespace's annotation gives its pods, where the admission plugin
PodNodeSelector is on (kubernetes 1.37, plugin/pkg/admission/podnodeselector).

No object shows whether it is on. A pod of the namespace does (`reconcile/admitted_demand.py`).
"""

from collections.abc import Mapping

from lws_placement.engine.base.keys import NAMESPACE_NODE_SELECTOR

_LONGEST = 4096
"""Characters; a longer one counts as none."""


def node_selector_of(annotations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Sorted labels and values; empty if the plugin could not read it, as it then refuses all pods
    (labels.ConvertSelectorToLabelsMap).
    """
    text = annotations.get(NAMESPACE_NODE_SELECTOR, "")
    if not text or len(text) > _LONGEST:
        return ()
    parts = [part.split("=") for part in text.split(",")]
    if any(len(part) != 2 for part in parts):
        return ()
    return tuple(sorted({key.strip(): value.strip() for key, value in parts}.items()))
