"""The real Helm, built from its Go module once."""

import subprocess
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.go_build import GoProgram, Progress, build_missing, cache_folder

VERSION = "4.3.2"
_MODULE = Path(__file__).parent / "module"


def find_or_build_helm(progress: Progress) -> Path:
    """Raises LocalClusterError with the compiler's words."""
    folder = cache_folder() / f"helm-{VERSION}" / "bin"
    stamp = f"-s -w -X helm.sh/helm/v4/internal/version.version=v{VERSION}"
    program = GoProgram("helm", _MODULE, "helm.sh/helm/v4/cmd/helm", stamp)
    build_missing([program], folder, what=f"Helm {VERSION}", progress=progress)
    return folder / "helm"


class Helm:
    """Helm on one cluster, in one namespace; none of the caller's own settings of Helm count."""

    def __init__(self, program: Path, home: Path, *, kubeconfig: Path | None = None) -> None:
        self._program = program
        self._root = Path(__file__).parents[2]
        self._env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
        if kubeconfig is not None:
            self._env["KUBECONFIG"] = str(kubeconfig)

    def __call__(self, *args: str, check: bool = True) -> str:
        """Run at the top of the repository. Standard output; with check=False also what it says on
        the other. Raises LocalClusterError.
        """
        done = subprocess.run(
            [self._program, *args],
            env=self._env,
            cwd=self._root,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if check and done.returncode != 0:
            raise LocalClusterError(f"helm {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr
