"""What went wrong lately, and for how long that matters (`engine/model/failure_history.py`)."""

from hypothesis import given
from hypothesis import strategies as st

from lws_placement.engine.model.failure_history import FailureHistory, History, Policy
from lws_placement.engine.objects.nodes import DomainName

A, B = DomainName("rack", "a"), DomainName("rack", "b")
POLICY = Policy(pass_over_s=30, pass_over_most_s=900, failures=3, window_s=1800)


def after_refusals(times: int) -> History:
    history = History()
    for number in range(times):
        history = history.with_refusal(A, "no volume", plan=str(number), now=1000)
    return history


def test_a_domain_that_refused_is_passed_over_for_twice_as_long_each_time() -> None:
    for times, wait_s in ((1, 30), (2, 60), (3, 120), (9, 900)):
        history = after_refusals(times)
        before = FailureHistory(1000 + wait_s - 1, history, policy=POLICY)
        assert before.passed_over == {A: "no volume"}
        assert before.until_retry_s() == 1
        after = FailureHistory(1000 + wait_s, history, policy=POLICY)
        assert after.passed_over == {}
        assert after.until_retry_s() is None


def test_a_refusal_is_forgotten_once_the_group_is_whole_there() -> None:
    assert after_refusals(3).settled(A) == History()
    assert after_refusals(3).settled(B) == after_refusals(3)


def test_many_pods_of_one_incarnation_are_one_failure() -> None:
    history = History()
    for incarnation in ("one", "one", "two", "two"):
        history = history.with_failure(A, incarnation, now=1000)
    failures = FailureHistory(1001, history, policy=POLICY)
    assert failures.failures_in(A) == 2
    assert failures.last_choice == frozenset()


def test_a_domain_is_the_last_choice_until_its_failures_are_older_than_the_window() -> None:
    history = History()
    for at in (1000, 1100, 1200):
        history = history.with_failure(A, str(at), now=at)
    assert FailureHistory(1200, history, policy=POLICY).last_choice == {A}
    assert FailureHistory(1000 + 1799, history, policy=POLICY).last_choice == {A}
    assert FailureHistory(1000 + 1800, history, policy=POLICY).last_choice == frozenset()


def test_a_refusal_that_is_told_again_of_the_same_plan_is_one() -> None:
    once = History().with_refusal(A, "no volume", plan="p", now=1000)
    assert once.with_refusal(A, "no volume", plan="p", now=1005).refused[A].times == 1


def test_what_two_planners_know_is_put_together() -> None:
    one = after_refusals(1).with_failure(A, "first", now=1000)
    other = after_refusals(2).with_failure(A, "second", now=1001)
    later = other.with_refusal(A, "no volume", plan="later", now=1002)
    for both in (one.with_all_of(later), later.with_all_of(one)):
        assert both.refused[A].times == 3
        assert both.failed[A] == {"first": 1000, "second": 1001}


def test_what_a_clock_that_is_ahead_has_noted_is_not_for_ever() -> None:
    ahead = after_refusals(1).with_failure(B, "first", now=9000).known_by(now=500)
    assert ahead.refused[A].last_s == 500
    assert ahead.failed[B] == {"first": 500}


@given(
    st.lists(st.tuples(st.sampled_from((A, B)), st.booleans(), st.floats(0, 5000)), max_size=20),
    st.floats(0, 10_000),
)
def test_pruning_changes_no_answer(
    events: list[tuple[DomainName, bool, float]], later_s: float
) -> None:
    history, now = History(), 0.0
    for number, (domain, refused, pause_s) in enumerate(events):
        now += pause_s
        if refused:
            history = history.with_refusal(domain, "words", plan=str(number), now=now)
        else:
            history = history.with_failure(domain, str(number), now=now)
    now += later_s
    kept = FailureHistory(now, history.pruned(POLICY, now=now), policy=POLICY)
    everything = FailureHistory(now, history, policy=POLICY)
    assert kept.passed_over == everything.passed_over
    assert kept.last_choice == everything.last_choice
    assert kept.until_retry_s() == everything.until_retry_s()
