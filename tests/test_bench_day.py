"""The simulated day: the same seeds give the same day, and what it is meant to show is there."""

from bench_day import CONTENDERS, Day, arrivals


def test_a_morning_is_the_same_each_time_and_ours_keeps_the_most_domains_whole():
    morning = [a for a in arrivals(7, 0.8, 0.06) if a.at_h < 4]

    def figures(name):
        choose, steered = CONTENDERS[name]
        return Day(choose, steered=steered, seed=7).run(morning).figures()

    ours = figures("ours")
    assert figures("ours") == ours
    assert ours["groups_placed"] == sum(1 for a in morning if a.size)
    for other in set(CONTENDERS) - {"ours"}:
        assert ours["domains_whole"] > figures(other)["domains_whole"]
