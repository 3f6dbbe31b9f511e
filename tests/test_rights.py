"""Our accounts have the rights that our code needs, and no others. (`e2e/test_rights.py` compares
the same list with the calls that the real API server has seen.)
"""

from pathlib import Path

import pytest
from support import rights

from certs.store import CA_SECRET

ROOT = Path(__file__).parents[1]


def test_every_right_is_needed_and_granted_once():
    granted = rights.granted()
    assert len(granted) == len(set(granted))
    assert set(granted) == set(rights.needed())


def test_each_account_has_its_own_rights_and_no_others():
    assert rights.bound() == rights.ACCOUNTS


def test_the_gate_which_others_can_reach_writes_bindings_and_events_alone():
    writes = {
        (resource, verb)
        for role, _, resource, verb, _ in rights.granted()
        if role in rights.ACCOUNTS["lws-placement"] and verb not in ("get", "list", "watch")
    }
    assert writes == {("pods/binding", "create"), ("events", "create")}


def test_the_key_of_the_ca_is_read_by_the_brain_alone():
    readers = {
        role
        for role, _, resource, verb, names in rights.granted()
        if resource == "secrets" and verb != "create" and (not names or CA_SECRET in names)
    }
    assert readers == {rights.BRAIN}


@pytest.mark.parametrize("code", sorted(set(rights.needed().values())))
def test_the_code_that_needs_it_is_there(code):
    if not code.startswith(rights.ASKED):
        assert any((folder / code).is_file() for folder in (ROOT, ROOT / "lws_placement"))


def test_nothing_is_granted_by_a_star():
    for _, group, resource, verb, _ in rights.granted():
        assert "*" not in group + resource + verb
