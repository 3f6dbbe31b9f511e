"""Container images without a registry: archives that containerd imports.

Those of the control plane are one program on an empty root. kube-proxy's has the machine's own
iptables beside it. A base with Python is made from Debian's packages, and our Dockerfile is built
on it unchanged, by buildah, from the files of this checkout.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from node.programs import node_programs

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.go_build import Progress, cache_folder, only_one
from lws_placement.localcluster.process import run_whole

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.11-slim"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = "python3.11,python3.11-venv,ca-certificates"
_IPTABLES = ("iptables", "iptables-save", "iptables-restore")
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_ALONE = """set -e
mount -t tmpfs tmpfs "$0"
for top in etc var/lib; do
  mkdir -p "$0/$top/upper" "$0/$top/work"
  mount -t overlay overlay -o "lowerdir=/$top,upperdir=$0/$top/upper,workdir=$0/$top/work" "/$top"
done
exec "$@"
"""
"""Runs a command of buildah in namespaces of its own: what it mounts goes with it even if it is
killed, and what it writes below /etc and /var/lib with the tmpfs that is mounted on the first
argument.
"""


def write_archive(
    path: Path,
    tag: str,
    files: Iterable[tuple[Path, str]],
    *,
    links: Iterable[tuple[str, str]] = (),
    command: str = "",
) -> None:
    """A docker-archive at `path` with one layer: `files` as (source, place), `links` as (place,
    target). `command`: what runs where a pod names nothing.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for source, place in files:
            tar.add(os.path.realpath(source), place.lstrip("/"), filter=_plain)
        for place, target in links:
            link = tarfile.TarInfo(place.lstrip("/"))
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    data = layer.getvalue()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={_PATH}"]} | ({"Entrypoint": [command]} if command else {}),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        _add(tar, "layer.tar", data)
        _add(tar, "config.json", json.dumps(config).encode())
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def control_plane_images(
    programs: dict[str, Path], tags: Sequence[str], folder: Path
) -> list[Path]:
    """One archive for each of `tags` (what `kubeadm config images list` says) whose program is
    there.
    """
    made = []
    for tag in tags:
        name = re.sub(r":[^:]*$", "", tag).rsplit("/", 1)[-1]
        if name not in programs:
            continue  # CoreDNS: no cluster DNS is needed here
        path = folder / f"{name}.tar"
        files, links = [(programs[name], f"/usr/local/bin/{name}")], []
        if name == "kube-proxy":
            more, links = _iptables()
            files += more
        write_archive(path, tag, files, links=links)
        made.append(path)
    return made


def _iptables() -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """The machine's iptables, as files and links, with the libraries that they load."""
    program = Path(os.path.realpath(shutil.which("iptables") or ""))
    extensions = next(p for top in ("/usr/lib", "/lib") for p in Path(top).glob("*/xtables"))
    needed = subprocess.run(
        ["ldd", str(program), *map(str, sorted(extensions.glob("*.so")))],
        capture_output=True,
        text=True,
        check=True,
    )
    libraries = {Path(p) for p in re.findall(r"(/\S+) \(0x", needed.stdout)}
    files = [(program, f"/usr/sbin/{program.name}")]
    files += [(p, str(p)) for p in sorted(libraries)]
    files += [(extensions, str(extensions))]
    names = [n.replace("ip", prefix, 1) for n in _IPTABLES for prefix in ("ip", "ip6")]
    return files, [(f"/usr/sbin/{name}", program.name) for name in names]


class ImageStore:
    """Images built by buildah, kept in the cache."""

    def __init__(self, progress: Progress) -> None:
        self._folder = cache_folder() / "images"
        self._progress = progress

    def build_product(self, tag: str, archive: Path) -> None:
        """manifests/image/Dockerfile, as it is, into a docker-archive. Raises LocalClusterError
        with the end of what was said.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with only_one(self._folder / ".lock", "images", self._progress):
            self._buildah("rm", "--all")  # what an interrupted build has left
            self._make_base()
            self._progress(f"building the image {tag}")
            dockerfile = ROOT / "manifests" / "image" / "Dockerfile"
            self._bud(tag, dockerfile, context=ROOT)
            archive.unlink(missing_ok=True)
            self._buildah("push", tag, f"docker-archive:{archive}:{tag}")

    def save_base(self, archive: Path) -> None:
        """The base with Python: an image for containers that tests need."""
        self._buildah("push", BASE, f"docker-archive:{archive}:{BASE}")

    def _make_base(self) -> None:
        known = self._buildah("images", "--quiet", "--filter", f"reference={BASE}")
        if re.search("^[0-9a-f]{12}", known, re.MULTILINE):
            return
        self._progress("making a base image with Python from Debian's packages, once")
        draft = self._folder / "base"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={_PYTHON}", _suite(), "root.tar"],
            cwd=draft,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise LocalClusterError(f"mmdebstrap failed: {made.stderr[-1500:]}")
        (draft / "Dockerfile").write_text(
            "FROM scratch\nADD root.tar /\n"
            "RUN ln -s /usr/bin/python3.11 /usr/local/bin/python3 && "
            "ln -s python3 /usr/local/bin/python\n"
        )
        self._bud(BASE, draft / "Dockerfile", context=draft)
        shutil.rmtree(draft)

    def _bud(self, tag: str, dockerfile: Path, *, context: Path) -> None:
        mounts = [
            f"--volume={source}:{place}:ro"
            for source, place in _pip_needs()
            if Path(source).exists()
        ]
        flags = ["--isolation=chroot", "--network=host", "--pull=never", "--layers"]
        self._buildah("bud", *flags, *mounts, f"--tag={tag}", f"--file={dockerfile}", str(context))

    def _buildah(self, verb: str, *args: str) -> str:
        run = self._folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        store = [f"--root={self._folder / 'store'}", f"--runroot={run / 'buildah'}"]
        buildah = ["buildah", *store, "--storage-driver=overlay", verb, *args]
        done = run_whole(
            ["unshare", "-m", "-p", "-f", "--kill-child=KILL", "sh", "-c", _ALONE, run, *buildah],
            cwd=ROOT,
            env=os.environ,
        )
        if done.returncode != 0:
            raise LocalClusterError(f"buildah {verb} failed: {done.stdout[-2500:]}")
        return done.stdout


def _pip_needs() -> list[tuple[str, str]]:
    """How this machine's pip reaches its index, mounted for the time of the build alone."""
    bundle = os.environ.get("SSL_CERT_FILE") or _CA_BUNDLE
    return [(bundle, _CA_BUNDLE), ("/etc/pip.conf", "/etc/pip.conf")]


def _suite() -> str:
    release = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)", release, re.MULTILINE)
    if found is None or "ID=debian" not in release:
        raise LocalClusterError("the base image is made from Debian's packages, on Debian")
    return found.group(1)


if __name__ == "__main__":
    # All that a node needs and that has to be downloaded.
    node_programs(print)
    with tempfile.TemporaryDirectory() as folder:
        ImageStore(print).build_product("localhost/lws-placement:try", Path(folder) / "image.tar")
