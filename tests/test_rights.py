"""Our account has the rights that our code needs, and no others. (`e2e/test_rights.py` compares the
same list with the calls that the real API server has seen.)
"""

from pathlib import Path

import pytest
from support import rights

ROOT = Path(__file__).parents[1]


def test_every_right_is_needed_and_granted_once():
    granted = rights.granted()
    assert len(granted) == len(set(granted))
    assert set(granted) == set(rights.needed())


@pytest.mark.parametrize("code", sorted(set(rights.needed().values())))
def test_the_code_that_needs_it_is_there(code):
    if not code.startswith(rights.ASKED):
        assert any((folder / code).is_file() for folder in (ROOT, ROOT / "lws_placement"))


def test_nothing_is_granted_by_a_star():
    for _, group, resource, verb, _ in rights.granted():
        assert "*" not in group + resource + verb
