"""The managers of LeaderWorkerSet, JobSet and Kueue, and Karpenter, built from their own Go
modules, once, and the CustomResourceDefinition of Cluster Autoscaler's ProvisioningRequests.

Each has a module manifest of its own: their requirements do not agree. Beside a program lies what
its project's `config/default` gives in kustomize, so that later runs need neither Go nor sources.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.go_build import (
    GO,
    GoProgram,
    Progress,
    Toolchain,
    build_missing,
    cache_folder,
    find_go,
    module_version,
    only_one,
)
from lws_placement.localcluster.process import run_whole

_MODULES = Path(__file__).parent / "modules"
_MANIFESTS = "manifests.yaml"
_PACKAGES = {
    "lws": "sigs.k8s.io/lws/cmd",
    "jobset": "sigs.k8s.io/jobset",
    "kueue": "sigs.k8s.io/kueue/cmd/kueue",
}
_NEWER_GO = Toolchain((1, 27), Path(__file__).parent / "go.lock")
"""Karpenter's module asks for 1.26.9."""
_PROVISIONING_APIS = "k8s.io/autoscaler/cluster-autoscaler/apis"
_PROVISIONING_CRD = "autoscaling.x-k8s.io_provisioningrequests.yaml"


@dataclass(frozen=True, slots=True)
class Program:
    """A manager, and the objects that its project installs."""

    name: str
    path: Path
    manifests: Path


def find_or_build(name: str, kubectl: str, progress: Progress) -> Program:
    """The manager of that name; raises LocalClusterError that says what is missing."""
    program = GoProgram(name, _MODULES / name, _PACKAGES[name])
    folder = cache_folder() / f"{name}-{module_version(program)}" / "bin"
    what = f"{folder.parent.name} (about 3 minutes on 2 cores)"
    build_missing([program], folder, what=what, progress=progress)
    manifests = folder.parent / _MANIFESTS
    with only_one(folder / ".lock", what, progress):
        if not manifests.exists():
            source = _module_folder(program, progress) / "config" / "default"
            _save(_kustomized(kubectl, source), manifests)
    return Program(name, folder / name, manifests)


def find_or_build_karpenter(progress: Progress) -> Program:
    """Karpenter with the provider whose nodes KWOK simulates; its manifests are its
    CustomResourceDefinitions.
    """
    program = GoProgram("karpenter", _MODULES / "karpenter", "sigs.k8s.io/karpenter/kwok")
    folder = cache_folder() / f"karpenter-{module_version(program)}" / "bin"
    what = f"{folder.parent.name} (about 3 minutes on 2 cores)"
    build_missing([program], folder, what=what, progress=progress, toolchain=_NEWER_GO)
    manifests = folder.parent / _MANIFESTS
    with only_one(folder / ".lock", what, progress):
        if not manifests.exists():
            source = _module_folder(program, progress, _NEWER_GO)
            crds = [*source.glob("pkg/apis/crds/*.yaml"), *source.glob("kwok/apis/crds/*.yaml")]
            _save("---\n".join(path.read_text() for path in sorted(crds)), manifests)
    return Program("karpenter", folder / "karpenter", manifests)


def find_provisioning_crd(progress: Progress) -> Path:
    """Needs Go, but builds nothing; raises LocalClusterError with Go's words."""
    folder = cache_folder() / "autoscaler"
    folder.mkdir(parents=True, exist_ok=True)
    what = "the CustomResourceDefinition of ProvisioningRequests"
    with only_one(folder / ".lock", what, progress):
        path = folder / _PROVISIONING_CRD
        if not path.exists():
            command = [find_go(progress), "mod", "download", "-json", _PROVISIONING_APIS]
            module = _MODULES / "autoscaler"
            env = os.environ | {"GOTOOLCHAIN": "local"}
            done = run_whole(command, cwd=module, env=env)
            if done.returncode != 0:
                raise LocalClusterError(f"{what}: {done.stdout[-1500:]}")
            found = Path(json.loads(done.stdout)["Dir"]) / "config" / "crd" / _PROVISIONING_CRD
            _save(found.read_text(), path)
    return path


def _module_folder(program: GoProgram, progress: Progress, toolchain: Toolchain = GO) -> Path:
    """Where Go keeps the sources of the module that `program` is a command of: its manifests.

    Raises LocalClusterError with Go's words.
    """
    go = find_go(progress, toolchain)
    command = [go, "list", "-mod=readonly", "-f", "{{.Module.Dir}}", program.package]
    done = run_whole(command, cwd=program.module, env=os.environ | {"GOTOOLCHAIN": "local"})
    if done.returncode != 0:
        raise LocalClusterError(f"looking for {program.package} failed: {done.stdout[-1500:]}")
    return Path(done.stdout.splitlines()[-1])


def _kustomized(kubectl: str, source: Path) -> str:
    command = [kubectl, "kustomize", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalClusterError(f"kustomize {source}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _save(text: str, path: Path) -> None:
    """It appears under its name only when it is complete."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as f:
        f.write(text)
    Path(draft).rename(path)


if __name__ == "__main__":
    from lws_placement.localcluster.binaries import find_or_build as control_plane

    binaries = control_plane(print)
    for peer in _PACKAGES:
        find_or_build(peer, binaries["kubectl"], print)
    find_or_build_karpenter(print)
