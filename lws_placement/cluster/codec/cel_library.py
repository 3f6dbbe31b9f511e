"""Google's CEL in C++ with Kubernetes' functions: compiles an expression and evaluates it for a
device. Imported once a first expression is evaluated (`cel.py`), as it takes 15 MB.

Kubernetes' quantities and versions are maps of one entry here, with its functions for them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.engine.objects.devices.devices import Device, Value
from lws_placement.errors import InvalidObjectError

_LONGEST_VERSION = 2048
_QUANTITY, _SEMVER = "quantity", "semver"
_VERSION = re.compile(
    r"(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})\.(0|[1-9]\d{0,18})"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

Expression: TypeAlias = cel.Expression
Maps = dict[str, dict[str, dict[str, Any]]]
"""`attributes` and `capacity` of a device, by domain and name."""


class Library:
    def __init__(self) -> None:
        self._env = _environment()

    def compiled(self, expression: str) -> Expression | None:
        """None: it cannot be read."""
        try:
            program: Expression = self._env.compile(expression)
        except RuntimeError:
            return None
        return program

    def evaluate(self, program: Expression, device: Device, maps: Maps) -> bool | None:
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

    def maps_of(self, device: Device) -> Maps:
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


# -- values ---------------------------------------------------------------------------------------


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
    match = _VERSION.fullmatch(text) if len(text) <= _LONGEST_VERSION else None
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
