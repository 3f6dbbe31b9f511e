"""What is found on the cluster, for a configuration that is only printed."""

import asyncio

from lws_placement.cli.connecting import connected
from lws_placement.cluster.api.discovery import look_around
from lws_placement.errors import ApiError, SettingsError
from lws_placement.inspect.found import found_lines
from lws_placement.settings import Settings

_ANSWER_S = 5.0


def found_if_reached(settings: Settings) -> list[str]:
    """`found_lines`, or why there are none: this never fails, as nothing needs a cluster here."""
    return [" ".join(line.split()) for line in asyncio.run(_look(settings))]


async def _look(settings: Settings) -> list[str]:
    try:
        async with asyncio.timeout(_ANSWER_S), connected(settings) as api:
            return found_lines(await look_around(api))
    except SettingsError as e:
        return [f"nothing, without a cluster to ask: {e}"]
    except ApiError as e:
        return [f"nothing, no API server reached: {e}"]
    except TimeoutError:
        return [f"nothing, no API server reached within {_ANSWER_S:.0f} s"]
