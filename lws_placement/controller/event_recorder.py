"""Events on a LeaderWorkerSet, in the words that LeaderWorkerSet has for them."""

from lws_placement.cluster.api.events import EventRecorder
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.children import API_VERSION


class Say:
    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    async def __call__(
        self,
        lws: Raw,
        reason: str,
        note: str,
        action: str,
        type: str = "Normal",
        *,
        topic: str = "",
    ) -> None:
        """Not if it was the last said on this `topic` (default: the reason)."""
        regarding = {
            "apiVersion": API_VERSION,
            "kind": "LeaderWorkerSet",
            "metadata": lws["metadata"],
        }
        await self._recorder.emit(
            regarding, reason=reason, note=note, action=action, type=type, topic=topic
        )
