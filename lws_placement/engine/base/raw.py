"""An API object, or a part of one, as `json.loads` returns it."""

from typing import Any

Raw = dict[str, Any]
RawList = list[Raw]
