"""The scripts that make manifests, as modules: their folders are no packages."""

import importlib.util

from lws_placement.localcluster.install import MANIFESTS


def load(name):
    """`name`: the script's path below `manifests/`."""
    path = MANIFESTS / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
