"""The bench measures what it says: small runs of the parts that need no control plane."""

from argparse import Namespace
from io import StringIO

from bench import answers, engine, extender, stall
from bench.figures import Figure, percentile, show
from rich.console import Console

SMALL = Namespace(nodes="240")


def test_a_percentile_is_a_value_that_so_many_do_not_exceed():
    values = list(range(100, 0, -1))
    assert percentile(values, 0.99) == 99
    assert percentile(values, 0.5) == 50
    assert percentile([7], 0.99) == 7


def test_planning_is_measured_against_asking_every_domain(monkeypatch):
    monkeypatch.setattr(engine, "GROUPS", 20)
    monkeypatch.setattr(engine, "WAITING", 20)
    monkeypatch.setattr(engine, "EVENTS", 5)
    figures = engine.measure(SMALL, Console(file=StringIO()))
    assert [f.goal for f in figures] == [2, 10, *4 * [None, 50, 50], 20, None]
    assert all(f.value > 0 for f in figures)
    assert figures[0].against == "asking every domain"


def test_the_longest_turn_of_the_loop_is_measured_for_each_shape(monkeypatch):
    monkeypatch.setattr(stall, "PER_PART", 60)
    monkeypatch.setattr(stall, "WAITING", 5)
    figures = stall.measure(Namespace(nodes="120", only="a slice"), Console(file=StringIO()))
    assert [f.goal for f in figures] == [0.5, None] * (len(figures) // 2)
    assert all(f.value > 0 for f in figures)


def test_what_answers_cost_is_measured_against_decoding_the_lists():
    figures = answers.measure(SMALL, Console(file=StringIO()))
    assert [f.what.split()[0] for f in figures] == ["reading", "status,", "explain"]
    assert all(f.value > 0 and f.baseline > 0 for f in figures)


def test_each_of_kube_schedulers_calls_is_measured(monkeypatch):
    monkeypatch.setattr(extender, "GROUPS", 10)
    monkeypatch.setattr(extender, "HELD", 20)
    monkeypatch.setattr(extender, "CALLS", 3)
    monkeypatch.setattr(extender, "ROUNDS", 1)
    figures = extender.measure(SMALL, Console(file=StringIO()))
    calls = {f.what.split(",")[0] for f in figures}
    assert {"/guard/filter", "/guard/prioritize", "a foreign pod", "a member"} <= calls


def test_a_figure_is_shown_with_its_ratio_and_its_goal():
    out = StringIO()
    figure = Figure("line", "9 nodes", "until bound", 3.0, "s", "plain", 2.0, goal=5)
    show([figure], Console(file=out, width=120))
    assert all(words in out.getvalue() for words in ("3 s", "x1.5 of plain", "< 5 s"))
    assert figure.as_json()["ratio"] == 1.5
