"""Pictures in `lws_placement/README.md` that are drawn from the code.

`python -m tests.support.pictures` draws them anew.
"""

import tomllib
from pathlib import Path

from lws_placement.engine.model.hold_states import TRANSITIONS

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "lws_placement" / "README.md"


def life_of_a_hold():
    rows = [
        f"{before or '(none)':>8} ──▶ {after or '(none)':<8} {why}"
        for (before, after), why in TRANSITIONS.items()
    ]
    return "\n".join(rows)


def rooms():
    """The layers of the import contracts: each line imports those below it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    inner = {
        contract["containers"][0].rpartition(".")[2]: contract["layers"]
        for contract in contracts
        if "containers" in contract
    }
    (outer,) = [c["layers"] for c in contracts if c["type"] == "layers" and "containers" not in c]
    lines = []
    for number, layer in enumerate(outer):
        names = [name.strip(" ()").removeprefix("lws_placement.") for name in layer.split("|")]
        lines += ["  │"] * bool(number) + ["  ".join(f"[{name}]" for name in names)]
        inside = inner.get(names[0])
        if inside:
            lines.append(f"  │     {' ─▶ '.join(inside)}")
    return "\n".join(lines)


PICTURES = {"rooms": rooms, "the life of a hold": life_of_a_hold}


def drawn(text):
    """The paper with its pictures as they are to be."""
    for name, draw in PICTURES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        head, found, rest = text.partition(begin)
        assert found, name
        text = f"{head}{begin}```\n{draw()}\n```\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAPER.write_text(drawn(PAPER.read_text()))
