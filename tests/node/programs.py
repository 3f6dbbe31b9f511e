"""The programs of a node, built once: kubelet, kubeadm, kube-proxy, containerd and its helpers.

runc and the CNI plugins are Debian's, as are the tools that make images.
"""

import shutil
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.binaries import (
    find_or_build,
    kubernetes_programs,
    wanted_version,
)
from lws_placement.localcluster.go_build import (
    GoProgram,
    Progress,
    build_missing,
    cache_folder,
)

CONTAINERD_VERSION = "2.4.2"
CNI_PLUGINS = Path("/usr/lib/cni")

_KUBERNETES = ("kubelet", "kubeadm", "kube-proxy")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
_MODULES = Path(__file__).parent / "modules"
_TOOLS = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "ip": "iproute2",
}


def node_programs(progress: Progress) -> dict[str, Path]:
    """Paths by name, of the control plane's programs as well. Raises LocalClusterError with the
    packages that are missing, or with the compiler's words.
    """
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if not (CNI_PLUGINS / "bridge").exists():
        missing.append("containernetworking-plugins")
    if missing:
        raise LocalClusterError(
            f"a node needs Debian's packages {', '.join(missing)}: apt-get install them"
        )
    version = wanted_version()
    control_plane = find_or_build(progress, version=version)
    kubernetes = cache_folder() / f"kubernetes-{version}" / "bin"
    wanted = [p for p in kubernetes_programs(version, _KUBERNETES) if p.name in _KUBERNETES]
    build_missing(wanted, kubernetes, what="kubelet, kubeadm, kube-proxy", progress=progress)
    stamp = f"-s -w -X github.com/containerd/containerd/v2/version.Version={CONTAINERD_VERSION}"
    package = "github.com/containerd/containerd/v2/cmd"
    containerd = cache_folder() / f"containerd-{CONTAINERD_VERSION}" / "bin"
    build_missing(
        [
            GoProgram(name, _MODULES / "containerd", f"{package}/{name}", stamp)
            for name in _CONTAINERD
        ],
        containerd,
        what=f"containerd {CONTAINERD_VERSION}",
        progress=progress,
    )
    return (
        dict(control_plane.paths)
        | {name: kubernetes / name for name in _KUBERNETES}
        | {name: containerd / name for name in _CONTAINERD}
    )


def pause_program(progress: Progress) -> Path:
    """The process of a pod's sandbox."""
    folder = cache_folder() / "pause" / "bin"
    program = GoProgram("pause", _MODULES / "pause", "node/pause")
    build_missing([program], folder, what="the process of sandboxes", progress=progress)
    return folder / "pause"
