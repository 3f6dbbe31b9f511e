"""CEL expressions that select devices (`device.driver == "gpu.example.com" && ...`), evaluated as
kube-scheduler does (dynamic-resource-allocation/cel, 1.37) by Google's own CEL in C++
(`cel_library.py`).

A domain without attributes reads as an empty map, as there. What cannot be read here, or might take
long, is not proven; what Kubernetes calls an error is an error.

Expressions are a tenant's. The library bounds the depth of one, and its rounds of a macro; regular
expressions take linear time (RE2). Results are kept by expression and the values that it reads.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.model.devices.allocation import NotProvenError
from lws_placement.engine.model.devices.capacity import AllocationError
from lws_placement.engine.objects.devices.devices import Device
from lws_placement.errors import InvalidObjectError

if TYPE_CHECKING:
    from lws_placement.cluster.codec.cel_library import Expression, Library

_LONGEST = 2048
"""Characters, of the 10 240 that the API server takes: an evaluation takes below 0.1 ms."""
_LONGEST_WITH_MACRO = 1024
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|existsOne|map|filter|transform\w+)\s*\(")
_KEY = r"""(?:\[\s*(?:"[^"\\]*"|'[^'\\]*')\s*\]|\.\s*\w+)"""
_MAP = re.compile(rf"\bdevice\s*\.\s*(attributes|capacity)\s*({_KEY})\s*({_KEY})?")
_WHOLE = re.compile(r"\bdevice\s*\.\s*(attributes|capacity)\b")
_PLAIN = re.compile(r"\bdevice\s*\.\s*(driver|allowMultipleAllocations)\b")
_Error = type[AllocationError] | type[NotProvenError]
_Answer = bool | tuple[_Error, str, bool]
"""Or the error to raise, its text, and whether that goes on with the device's name."""


@dataclass(frozen=True, slots=True)
class _Program:
    """`reads`: map, domain and name of what it reads; None: it may read anything. `domains`: what
    it looks up; None: it may do more with the maps than look up domains.
    """

    program: "Expression | None"
    reads: tuple[tuple[str, str, str], ...] | None = None
    domains: tuple[tuple[str, str], ...] | None = None


class Selectors:
    def __init__(self) -> None:
        self._programs: LruCache[str, _Program] = LruCache(256)
        self._answers: LruCache[Hashable, _Answer] = LruCache(16384)

    @cached_property
    def _library(self) -> "Library":
        # It takes 15 MB, and on most clusters no process of ours ever evaluates an expression.
        from lws_placement.cluster.codec.cel_library import Library

        return Library()

    def matches(self, expression: str, device: Device) -> bool:
        """Raises AllocationError and NotProvenError."""
        program = self._program(expression)
        key = (expression, device.driver, device.shareable, _read_by(program, device))
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answer(expression, program, device)
            self._answers.put(key, answer)
        if isinstance(answer, bool):
            return answer
        error, text, names_device = answer
        raise error(f"{text} for device {device.id[2]}" if names_device else text)

    def reads(self, expression: str) -> tuple[str, ...] | None:
        """Full names of the attributes that decide what it matches, beside what the devices have
        but names and attributes; None: any may.
        """
        reads = self._program(expression).reads
        if reads is None:
            return None
        return tuple(f"{domain}/{name}" for kind, domain, name in reads if kind == "attributes")

    def _program(self, expression: str) -> _Program:
        return self._programs.get_or_make(expression, lambda: self._compiled(expression))

    def _compiled(self, expression: str) -> _Program:
        longest = _LONGEST_WITH_MACRO if _MACRO.search(expression) else _LONGEST
        if len(expression) > longest or len(_MACRO.findall(expression)) > 1:
            return _Program(None)
        program = self._library.compiled(expression)
        if program is None:
            return _Program(None)
        lookups = [
            (m[1], _key_in(m[2]), _key_in(m[3]) if m[3] else "") for m in _MAP.finditer(expression)
        ]
        rest = _PLAIN.sub("", _MAP.sub("", expression))
        is_plain = not re.search(r"\bdevice\b", rest)
        return _Program(
            program,
            reads=tuple(sorted(set(lookups))) if is_plain and all(n for *_, n in lookups) else None,
            domains=None
            if _WHOLE.search(_MAP.sub("", expression)) or not is_plain
            else tuple(sorted({(kind, domain) for kind, domain, _ in lookups})),
        )

    def _answer(self, expression: str, program: _Program, device: Device) -> _Answer:
        shown = expression if len(expression) <= 80 else f"{expression[:77]}..."
        if program.program is None:
            return NotProvenError, f"CEL expression {shown} cannot be read here", False
        try:
            maps = self._library.maps_of(device)
        except InvalidObjectError as e:
            return AllocationError, str(e), False
        found = self._library.evaluate(program.program, device, maps)
        if found is None and program.domains is not None:
            for kind, domain in program.domains:
                maps[kind].setdefault(domain, {})
            found = self._library.evaluate(program.program, device, maps)
        elif found is None:
            return NotProvenError, f"CEL expression {shown} fails", True
        if found is None:
            return AllocationError, f"CEL expression {shown} fails", True
        return found


def _key_in(text: str) -> str:
    text = text.strip()
    return text[1:].strip() if text[0] == "." else text[1:-1].strip()[1:-1]


def _read_by(program: _Program, device: Device) -> Hashable:
    if program.reads is None:
        return frozenset(device.attributes.items()), tuple(
            sorted((name, c.value.as_integer_ratio()) for name, c in device.capacity.items())
        )
    return tuple(_read(device, *read) for read in program.reads)


def _read(device: Device, kind: str, domain: str, name: str) -> Hashable:
    full = f"{domain}/{name}"
    if kind == "attributes":
        return device.attribute(full)
    found = device.capacity.get(full)
    if found is None and domain == device.driver:
        found = device.capacity.get(name)
    return found.value.as_integer_ratio() if found is not None else None
