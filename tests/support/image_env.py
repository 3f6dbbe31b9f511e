"""The environment of the image, made of what is installed here: the packages of its lock file, our
own code, and nothing else; pruned by the very file that the Dockerfile runs.
"""

import re
import runpy
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "manifests" / "image"
BUILD_TOOLS = {"setuptools", "wheel", "packaging"}
"""They make the wheel, and are taken out, or needed by these alone."""


def locked(path):
    """By name: the requirement and its hashes, as text."""
    entries = re.split(r"\n(?=\S)", path.read_text().strip())
    return {Requirement(e.split("\\")[0].strip()).name: e for e in entries}


def make(folder):
    """Python looks there alone with the program that this returns."""
    packages = folder / "packages"
    for name in locked(IMAGE / "requirements.lock").keys() - BUILD_TOOLS:
        _copy(distribution(name), packages)
    for name in ("lws_placement", "webhook", "certs"):
        shutil.copytree(ROOT / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    ours = distribution("lws-placement")
    shutil.copytree(ours._path, packages / ours._path.name)
    runpy.run_path(str(IMAGE / "prune.py"))["prune"](packages)
    program = folder / "program.py"
    program.write_text(
        f"import sys; sys.path[:] = [{str(packages)!r}, *{stdlib()!r}]\n"
        "from lws_placement.cli.main import main; main()\n"
    )
    return program


def stdlib():
    return [p for p in sys.path if p.startswith(sys.base_prefix) and "site-packages" not in p]


def _copy(found, packages):
    for file in found.files:
        if file.parts[0] != ".." and file.suffix != ".pyc":
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found.locate_file(file), target)
