"""What would have to end for a group of several domains, of a region or of none."""

from hypothesis import given, settings
from support.multi_domain_preemption_strategies import fits_without, groups, towns
from support.tenants import ME

from lws_placement.engine.preemption.blockers import Blockers, Infeasible, blockers_of
from lws_placement.engine.preemption.victims import Victim


def ended(way, town):
    """All that the way names, whatever its priority."""
    pods = [town.pods[uid] for uid in way.pods]
    groups = [Victim(0, tuple(town.all_pods_of(g)), g) for g in way.groups]
    return [*groups, *(Victim(0, (p,)) for p in pods)]


def everybody(town):
    owners = {*town.groups.values(), *town.holds}
    foreign = [p.uid for p in town.pods.values() if town.goes_with(p) is None]
    return ended(Blockers(tuple(sorted(owners)), tuple(foreign)), town)


@settings(max_examples=300)
@given(groups(), towns())
def test_it_would_fit_once_they_end_and_not_while_one_of_them_stays(group, town):
    way = blockers_of(group, town.index, town)
    if isinstance(way, Infeasible):
        assert not fits_without(group, town, everybody(town), going=False)
        return
    assert ME not in way.groups
    ending = ended(way, town)
    assert fits_without(group, town, ending, going=False)
    for spared in ending:
        rest = [v for v in ending if v is not spared]
        assert not fits_without(group, town, rest, going=False)
