"""What the papers name exists: links, files, modules and what is defined in them."""

import ast
import re
from pathlib import Path

import pytest
from support.pictures import PAPER, drawn

ROOT = Path(__file__).parents[1]
PAPERS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (".", ".github", "lws_placement", "manifests", "tests")
    for path in (ROOT / folder).glob("*.md")
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|md|txt|toml))`(?: `(\w+)`)?")
OURS = ("", "lws_placement", "tests", "manifests")
OF_OTHERS = {
    "scheduler-config.yaml",
    "model.yaml",
    "nodes.yaml",
    "values.yaml",
}


def text(paper):
    return (ROOT / paper).read_text()


def found(name):
    return [ROOT / folder / name for folder in OURS if (ROOT / folder / name).is_file()]


@pytest.mark.parametrize("paper", PAPERS)
def test_no_link_is_dead(paper):
    dead = [
        link
        for link in LINK.findall(text(paper))
        if "://" not in link and not ((ROOT / paper).parent / link).exists()
    ]
    assert dead == []


@pytest.mark.parametrize("paper", PAPERS)
def test_files_that_are_named_exist_and_define_what_is_named_with_them(paper):
    wrong = []
    for name, defined in FILE.findall(text(paper)):
        paths = found(name)
        if not paths and Path(name).name not in OF_OTHERS:
            wrong.append(name)
        if paths and defined and not any(defined in names_in(path) for path in paths):
            wrong.append(f"{name} {defined}")
    assert wrong == []


def names_in(path):
    body = ast.parse(path.read_text()).body
    named = {getattr(node, "name", "") for node in body}
    return named | {getattr(getattr(node, "target", None), "id", "") for node in body}


def test_the_readme_is_short():
    readme = text("README.md")
    assert len(readme.encode()) <= 10_000
    assert max(map(len, readme.splitlines())) <= 120


def test_all_packages_of_the_engine_are_in_the_architecture():
    rooms = text("lws_placement/README.md").partition("| `engine/` |")[2].partition("\n")[0]
    packages = {p.parent.name for p in (ROOT / "lws_placement/engine").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"`(\w+)`", rooms))


def test_pictures_are_as_they_are_drawn_from_the_code():
    """`python -m tests.support.pictures` draws them."""
    assert PAPER.read_text() == drawn(PAPER.read_text())
