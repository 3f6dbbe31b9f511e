"""Known vulnerabilities of pinned packages, by pip-audit: `audit.py PIP_AUDIT LOCK...`.

pip-audit asks PyPI's JSON API and passes over a package that it gets no answer about. Behind a
mirror without that API it would find nothing wrong with anything, so a package that was passed over
is an error here. Ends with 0 if there are no vulnerabilities, 1 if there are some, and 2 if that is
not known.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def verdict(found: Mapping[str, Any]) -> tuple[int, list[str]]:
    """The exit code, and lines for people; `found`: what pip-audit prints as JSON."""
    lines, passed_over = [], []
    for package in found["dependencies"]:
        if "skip_reason" in package:
            passed_over.append(package["name"])
        for one in package.get("vulns", ()):
            fixed = ", ".join(one["fix_versions"]) or "no version yet"
            name = f"{package['name']} {package['version']}"
            lines.append(f"{name}: {one['id']}, mended in {fixed}")
    if lines:
        return 1, lines
    if passed_over:
        number = f"{len(passed_over)} of {len(found['dependencies'])} packages"
        example = ", ".join(passed_over[:3])
        return 2, [
            f"not known: nothing is said about {number} ({example}). The source, PyPI's JSON API, "
            "is not reached from here; run this where it is."
        ]
    return 0, [f"no known vulnerabilities in {len(found['dependencies'])} packages"]


def main(program: str, locks: Sequence[str]) -> int:
    files = [f"--requirement={lock}" for lock in locks]
    command = [program, "--disable-pip", "--require-hashes", "--format=json", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        code, lines = verdict(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        code, lines = 2, [f"not known: {program} ended with {done.returncode}: {last}"]
    print(*lines, sep="\n", file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
