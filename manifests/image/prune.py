"""Take out of an environment what `lws-placement` never loads: python prune.py FOLDER.

Of the kubernetes client it uses how to find credentials and how to speak TLS; nine tenths of its
size are a class for each type and for each group of the API, in two packages. The client loads
each by its name when it is first asked for, so that nothing misses what nobody asks for.
"""

import sys
from pathlib import Path

GENERATED = (
    "kubernetes/client/api",
    "kubernetes/client/models",
    "kubernetes/aio/client/api",
    "kubernetes/aio/client/models",
)


def prune(packages: Path) -> int:
    """`packages`: a site-packages folder. How many bytes it has freed."""
    freed = 0
    for folder in GENERATED:
        found = sorted(p for p in (packages / folder).rglob("*") if p.is_file())
        if not found:
            raise SystemExit(f"{packages / folder}: there is nothing; the client has changed")
        for path in found:
            if path.name != "__init__.py":
                freed += path.stat().st_size
                path.unlink()
    return freed


if __name__ == "__main__":
    (site_packages,) = Path(sys.argv[1]).glob("lib/python3*/site-packages")
    print(f"{prune(site_packages) / 2**20:.0f} MiB freed")
