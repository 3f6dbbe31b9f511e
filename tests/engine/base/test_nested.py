"""Nested dicts that keep no empty inner one (`engine/base/nested.py`)."""

from lws_placement.engine.base.nested import DictOfDicts, DictOfSets


def test_a_dict_of_dicts_returns_what_a_change_replaces_and_keeps_no_empty_key():
    nested = DictOfDicts[str, str, int]()
    assert nested.put("a", "x", 1) is None
    assert nested.put("a", "x", 2) == 1
    assert nested.put("a", "y", 3) is None
    assert dict(nested["a"]) == {"x": 2, "y": 3}
    assert nested.drop("a", "x") == 2
    assert nested.drop("a", "x") is None
    assert "a" in nested
    assert nested.drop("a", "y") == 3
    assert "a" not in nested
    assert list(nested) == []


def test_reading_or_dropping_an_unknown_key_adds_nothing():
    nested, sets = DictOfDicts[str, str, int](), DictOfSets[str, int]()
    assert nested.drop("a", "x") is None
    sets.discard("a", 1)
    assert (dict(nested["a"]), set(sets["a"])) == ({}, set())
    assert (list(nested), list(sets)) == ([], [])


def test_a_dict_of_sets_keeps_no_empty_key():
    sets = DictOfSets[str, int]()
    sets.add("a", 1)
    sets.add("a", 1)
    sets.add("a", 2)
    assert sets["a"] & {1, 3} == {1}
    sets.discard("a", 1)
    assert sets["a"] == {2}
    sets.discard("a", 2)
    assert "a" not in sets
