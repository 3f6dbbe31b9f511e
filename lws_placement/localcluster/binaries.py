"""Where the control plane's programs come from: given, cached, on PATH, or built here once.

They are built from their public Go modules (`modules/<version>/*/go.mod`, see `go_build.py`); a
build takes about 9 minutes on 2 cores. The result is cached outside the tree, per version.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.go_build import GoProgram, Progress, build_missing, cache_folder

KUBERNETES_VERSION = "1.37.2"

_MODULES = Path(__file__).parent / "modules"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *_KUBERNETES, "kwok")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the six programs, by name."""

    paths: dict[str, Path]

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])


def wanted_version() -> str:
    """`$LWS_PLACEMENT_KUBERNETES_VERSION`, else the one that we are tested with."""
    return os.environ.get("LWS_PLACEMENT_KUBERNETES_VERSION") or KUBERNETES_VERSION


def find_or_build(progress: Progress, *, version: str = "") -> Binaries:
    """All programs of `version` (default: the wanted one). Raises LocalClusterError that says what
    is missing and what to do.
    """
    version = version or wanted_version()
    folder = cache_folder() / f"kubernetes-{version}" / "bin"
    found: dict[str, Path] = {}
    for program in PROGRAMS:
        path = _find(program, folder, version)
        if path is not None:
            found[program] = path
    missing = [name for name in PROGRAMS if name not in found]
    if missing:
        programs = [p for p in kubernetes_programs(version) if p.name in missing]
        what = f"{len(programs)} programs of Kubernetes {version} (about 9 minutes on 2 cores)"
        build_missing(programs, folder, what=what, progress=progress)
        found |= {name: folder / name for name in missing}
    return Binaries({program: found[program] for program in PROGRAMS})


def _find(program: str, folder: Path, version: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program] if assets else []
    candidates.append(folder / program)
    on_path = shutil.which(program)
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            if candidate.parent == folder or program not in _KUBERNETES:
                return candidate
            if _version_of(candidate) == version:
                return candidate
    return None


def _version_of(program: Path) -> str:
    """Of a Kubernetes program; empty if it does not tell."""
    args = ["version", "--client"] if program.name == "kubectl" else ["--version"]
    try:
        out = subprocess.run(
            [str(program), *args], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"v(\d+\.\d+\.\d+)", out.stdout)
    return match.group(1) if match else ""


def kubernetes_programs(version: str, extra: tuple[str, ...] = ()) -> list[GoProgram]:
    """How PROGRAMS, and the commands of Kubernetes in `extra`, are built for `version`.

    Raises LocalClusterError for a version without module manifests.
    """
    manifests = _MODULES / version
    if not manifests.is_dir():
        known = ", ".join(sorted(p.name for p in _MODULES.iterdir()))
        raise LocalClusterError(
            f"Kubernetes {version} cannot be built here (module files exist for {known}); "
            "set KUBEBUILDER_ASSETS to a folder with its programs"
        )
    major, minor, _ = version.split(".", 2)
    base = "k8s.io/component-base/version"
    stamp = (
        f"-s -w -X {base}.gitVersion=v{version} -X {base}.gitMajor={major} "
        f"-X {base}.gitMinor={minor}"
    )
    source = manifests / "kubernetes"
    return [
        GoProgram("etcd", manifests / "etcd", "go.etcd.io/etcd/server/v3"),
        *(
            GoProgram(name, source, f"k8s.io/kubernetes/cmd/{name}", stamp)
            for name in (*_KUBERNETES, *extra)
        ),
        GoProgram("kwok", manifests / "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    ]
