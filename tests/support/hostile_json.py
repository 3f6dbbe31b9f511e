"""Bodies that no client of ours sends, and that a parser may choke on."""

import json

DEEP = 100_000
BIG = "9" * 5000
"""More digits than Python makes a number of, or a text of one (`sys.set_int_max_str_digits`)."""


def hostile_values():
    """Name -> JSON text of a value, in place of any value of a body."""
    return {
        "deep lists": "[" * DEEP + "]" * DEEP,
        "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
        "deep and not closed": "[" * DEEP,
        "as deep as a parser goes": "[" * 180 + "]" * 180,
        "an integer of 5 000 digits": BIG,
        "a negative one": f"-{BIG}",
        "a fraction of 5 000 digits": f"0.{BIG}",
        "an exponent": "1e999999999",
        "NaN": "NaN",
        "Infinity": "-Infinity",
        "a lone surrogate": '"\\ud800"',
        "an escaped NUL": '"\\u0000"',
        "a list": "[]",
        "an object": "{}",
        "null": "null",
        "true": "true",
        "a long text": json.dumps("x" * 200_000),
    }


def hostile_bodies(whole):
    """Name -> bytes, made of a body that is as it should be."""
    text = json.dumps(whole).encode()
    twice = text.replace(b"{", b'{"a": 1, "a": [2], ', 1)
    return {
        "no UTF-8": text.replace(b'"', b'"\xff\xfe', 1),
        "UTF-16": json.dumps(whole).encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "an encoded surrogate": text.replace(b'"', b'"\xed\xa0\x80', 1),
        "cut": text[: len(text) // 2],
        "two bodies": text + text,
        "a NUL behind it": text + b"\0",
        "duplicate keys": twice,
        "form data": b"a=1&b=2",
        "XML": b"<a/>",
        "YAML": b"a: 1",
        "zeros": bytes(100_000),
    }


def hostile_variants(whole):
    """The same, and bodies with a hostile value in place of each value inside."""
    bodies = hostile_bodies(whole)
    for at in paths_in(whole):
        for name, text in hostile_values().items():
            bodies[name, at] = with_value(whole, at, text)
    return bodies


def strictly_read(text):
    """The value of a JSON text. Raises AssertionError for NaN and others that JSON does not have,
    and that Python reads.
    """
    return json.loads(text, parse_constant=_not_json)


def _not_json(constant):
    raise AssertionError(f"JSON has no {constant}")


def with_value(whole, path, text):
    """The body as bytes, with a JSON text in place of the value at `path`."""
    mark = "put-it-here"
    obj = json.loads(json.dumps(whole))
    *parents, last = path
    at = obj
    for step in parents:
        at = at[step]
    at[last] = mark
    return json.dumps(obj).replace(f'"{mark}"', text).encode()


def paths_in(value, path=()):
    """Of every value inside, at any depth."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for step, child in children:
        yield (*path, step)
        if isinstance(child, dict | list):
            yield from paths_in(child, (*path, step))
