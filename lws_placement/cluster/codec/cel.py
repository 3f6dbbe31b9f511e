"""CEL expressions that select devices (`device.driver == "gpu.example.com" && ...`), evaluated as
kube-scheduler does (dynamic-resource-allocation/cel, 1.37) by Google's own CEL in C++.

Kubernetes' quantities and versions are maps of one entry here, with its functions for them. A
domain without attributes reads as an empty map, as there. What cannot be read here, or might take
long, is not proven; what Kubernetes calls an error is an error.

Expressions are a tenant's. The library bounds the depth of one, and its rounds of a macro; regular
expressions take linear time (RE2). Results are kept by expression and the values that it reads.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.engine.model.devices.allocation import NotProvenError
from lws_placement.engine.model.devices.capacity import AllocationError
from lws_placement.engine.objects.devices.devices import Device, Value
from lws_placement.errors import InvalidObjectError

_LONGEST = 2048
"""Characters, of the 10 240 that the API server takes: an evaluation takes below 0.1 ms."""
_LONGEST_WITH_MACRO = 1024
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|existsOne|map|filter|transform\w+)\s*\(")
_KEY = r"""(?:\[\s*(?:"[^"\\]*"|'[^'\\]*')\s*\]|\.\s*\w+)"""
_MAP = re.compile(rf"\bdevice\s*\.\s*(attributes|capacity)\s*({_KEY})\s*({_KEY})?")
_WHOLE = re.compile(r"\bdevice\s*\.\s*(attributes|capacity)\b")
_PLAIN = re.compile(r"\bdevice\s*\.\s*(driver|allowMultipleAllocations)\b")
_QUANTITY, _SEMVER = "quantity", "semver"
_VERSION = re.compile(
    r"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

_Error = type[AllocationError] | type[NotProvenError]
_Answer = bool | tuple[_Error, str, bool]
"""Or the error to raise, its text, and whether that goes on with the device's name."""


@dataclass(frozen=True, slots=True)
class _Program:
    """`reads`: map, domain and name of what it reads; None: it may read anything. `domains`: what
    it looks up; None: it may do more with the maps than look up domains.
    """

    program: cel.Expression | None
    reads: tuple[tuple[str, str, str], ...] | None = None
    domains: tuple[tuple[str, str], ...] | None = None


class Selectors:
    def __init__(self) -> None:
        self._env = _environment()
        self._programs: LruCache[str, _Program] = LruCache(256)
        self._answers: LruCache[Hashable, _Answer] = LruCache(16384)

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
        try:
            program = self._env.compile(expression)
        except RuntimeError:
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
            maps = _maps(device)
        except InvalidObjectError as e:
            return AllocationError, str(e), False
        found = _evaluate(program.program, device, maps)
        if found is None and program.domains is not None:
            for kind, domain in program.domains:
                maps[kind].setdefault(domain, {})
            found = _evaluate(program.program, device, maps)
        elif found is None:
            return NotProvenError, f"CEL expression {shown} fails", True
        if found is None:
            return AllocationError, f"CEL expression {shown} fails", True
        return found


def _evaluate(
    program: cel.Expression, device: Device, maps: Mapping[str, Mapping[str, Any]]
) -> bool | None:
    """None: it fails."""
    values = {
        "driver": device.driver,
        "allowMultipleAllocations": device.shareable,
        **maps,
    }
    try:
        found = program.eval(data={"device": values})
    except RuntimeError:
        return None
    value = found.value() if found.type() == cel.Type.BOOL else None
    return value if isinstance(value, bool) else None


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


# -- values ---------------------------------------------------------------------------------------


def _maps(device: Device) -> dict[str, dict[str, dict[str, Any]]]:
    """Raises InvalidObjectError for a version that is none."""
    attributes: dict[str, dict[str, Any]] = {}
    for name, value in device.attributes.items():
        domain, short = _split(name, device.driver)
        attributes.setdefault(domain, {})[short] = _plain(value)
    capacity: dict[str, dict[str, Any]] = {}
    for name, one in device.capacity.items():
        domain, short = _split(name, device.driver)
        capacity.setdefault(domain, {})[short] = _quantity_of(one.value)
    return {"attributes": attributes, "capacity": capacity}


def _split(name: str, driver: str) -> tuple[str, str]:
    domain, slash, short = name.partition("/")
    return (domain, short) if slash else (driver, name)


def _plain(value: Value) -> Any:
    kind, given = value
    if kind == "version":
        return {_SEMVER: _version(str(given))}
    if kind == "versions":
        return [{_SEMVER: _version(str(one))} for one in given] if isinstance(given, tuple) else []
    return list(given) if isinstance(given, tuple) else given


def _quantity_of(amount: Fraction) -> dict[str, str]:
    return {_QUANTITY: str(amount)}


def _version(text: str) -> str:
    """Without build metadata, which does not count. Raises InvalidObjectError."""
    match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidObjectError(f"{text[:64]!r} is no semantic version")
    plain = ".".join(match.group(1, 2, 3))
    return f"{plain}-{match[4]}" if match[4] else plain


def _normal(text: str) -> str:
    """`v1.02` -> `1.2.0`."""
    plain, dash, more = text.removeprefix("v").partition("-")
    if not dash:
        plain, dash, more = plain.partition("+")
    parts = [part.lstrip("0") or "0" for part in plain.split(".")]
    return ".".join([*parts, "0", "0"][: max(3, len(parts))]) + dash + more


def _order(text: str) -> tuple[Any, ...]:
    """Sorts as versions do: before a version come its pre-releases."""
    plain, _, before = text.partition("-")
    parts = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in (before.split(".") if before else ())
    )
    return (*map(int, plain.split(".")), not before, parts)


def _ordered(given: Mapping[str, str]) -> Any:
    if _QUANTITY in given:
        return Fraction(given[_QUANTITY])
    return _order(given[_SEMVER])


def _compare(one: Mapping[str, str], other: Mapping[str, str]) -> int:
    if one.keys() != other.keys():
        raise ValueError("a quantity is no version")
    left, right = _ordered(one), _ordered(other)
    return int(left > right) - int(left < right)


def _amount(given: Mapping[str, str]) -> Fraction:
    return Fraction(given[_QUANTITY])


def _integer(given: Mapping[str, str]) -> int:
    amount = _amount(given)
    if amount.denominator != 1 or not -(2**63) <= amount < 2**63:
        raise ValueError("the quantity is no integer")
    return int(amount)


def _is(read: Callable[[str], object]) -> Callable[[str], bool]:
    def is_one(text: str) -> bool:
        try:
            read(text)
        except (InvalidObjectError, ArithmeticError):
            return False
        return True

    return is_one


def _read_quantity(text: str) -> dict[str, str]:
    return _quantity_of(Fraction(parse_quantity(text)))


def _environment() -> cel.Env:
    extensions = [ext_bindings.ExtBindings(), ext_strings.ExtStrings(), ext_optional.ExtOptional()]
    return cel.NewEnv(
        variables={"device": cel.Type.DYN}, functions=list(_functions()), extensions=extensions
    )


def _functions() -> Iterator[cel.FunctionDecl]:
    """Kubernetes' functions for quantities and versions (apiserver/pkg/cel/library)."""
    kind = cel.Type
    given = kind.Map(kind.STRING, kind.DYN)
    whole, text, truth = kind.INT, kind.STRING, kind.BOOL

    def of(name: str, *overloads: tuple[cel.Type, list[cel.Type], Any], member: bool = True) -> Any:
        return cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"{name}_{n}",
                    returned,
                    taken,
                    is_member=member and taken[0] == given,
                    impl=impl,
                )
                for n, (returned, taken, impl) in enumerate(overloads)
            ],
        )

    def read_version(text: str, normalize: bool = False) -> dict[str, str]:
        return {_SEMVER: _version(_normal(text) if normalize else text)}

    def is_version(text: str, normalize: bool = False) -> bool:
        return _is(lambda t: read_version(t, normalize))(text)

    def sum_with(sign: int) -> tuple[Any, Any]:
        def with_quantity(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
            return _quantity_of(_amount(one) + sign * _amount(other))

        def with_number(one: Mapping[str, str], other: int) -> dict[str, str]:
            return _quantity_of(_amount(one) + sign * other)

        return (given, [given, given], with_quantity), (given, [given, whole], with_number)

    def part(index: int) -> tuple[Any, ...]:
        return whole, [given], lambda v: int(v[_SEMVER].partition("-")[0].split(".")[index])

    yield of("quantity", (given, [text], _read_quantity))
    yield of("isQuantity", (truth, [text], _is(_read_quantity)))
    yield of(
        "sign", (whole, [given], lambda q: _compare(q, _quantity_of(Fraction(0)))), member=False
    )
    yield of("isGreaterThan", (truth, [given, given], lambda a, b: _compare(a, b) > 0))
    yield of("isLessThan", (truth, [given, given], lambda a, b: _compare(a, b) < 0))
    yield of("compareTo", (whole, [given, given], _compare))
    yield of("asApproximateFloat", (kind.DOUBLE, [given], lambda q: float(_amount(q))))
    yield of("asInteger", (whole, [given], _integer))
    yield of("isInteger", (truth, [given], lambda q: _amount(q).denominator == 1))
    yield of("add", *sum_with(1))
    yield of("sub", *sum_with(-1))
    yield of("semver", (given, [text], read_version), (given, [text, truth], read_version))
    yield of("isSemver", (truth, [text], is_version), (truth, [text, truth], is_version))
    for index, name in enumerate(("major", "minor", "patch")):
        yield of(name, part(index))
