"""No case of LeaderWorkerSet's own tests is without a test of ours."""

from support.lws_cases import CASES, TABLE, find_tests, table


def test_every_case_has_a_test():
    assert sorted(CASES.keys() - find_tests().keys()) == []


def test_tests_name_no_case_that_does_not_exist():
    assert sorted(find_tests().keys() - CASES.keys()) == []


def test_the_table_is_up_to_date():
    """`python -m tests.support.lws_cases` writes it."""
    assert TABLE.read_text() == table()
