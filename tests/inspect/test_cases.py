"""`lws-placement simulate` on the scenarios of tests/cases: input, a line of `----`, the output.

A first line `# simulate --flag=value` says with which flags; `kind: RunningGroup` is short for pods
(`support/case_format.py`).

UPDATE_CASES=1 writes what is printed now into the files; read the difference before you keep it.
"""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.case_format import spelled_out

from lws_placement.cli.main import cli

CASES = sorted((Path(__file__).parents[1] / "cases").glob("**/*.txt"))
MARK = "----\n"
FLAGS = "# simulate "


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path, tmp_path):
    given, mark, expected = path.read_text().partition(MARK)
    assert mark, "a case has a line of ----"
    file = tmp_path / "case.yaml"
    file.write_text(spelled_out(given))
    done = CliRunner().invoke(cli, ["simulate", "-f", str(file), *flags_of(given)])
    assert done.exit_code == 0, done.output
    if os.environ.get("UPDATE_CASES"):
        path.write_text(given + MARK + done.stdout)
    else:
        assert done.stdout == expected


def flags_of(given):
    first = given.partition("\n")[0]
    return first.removeprefix(FLAGS).split() if first.startswith(FLAGS) else []
