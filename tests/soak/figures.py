"""What is counted and measured, for the table in the end."""

import statistics
import threading
from collections import Counter, defaultdict


class Figures:
    """For several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.counts = Counter()
        self.longest = {}
        """What was waited for -> the longest time, in seconds."""
        self._memory = defaultdict(list)
        """Role -> (when, MB)."""

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    def took(self, what, seconds):
        with self._lock:
            self.longest[what] = max(self.longest.get(what, 0.0), seconds)

    def memory(self, role, when, mb):
        with self._lock:
            self._memory[role].append((when, mb))

    def thirds(self):
        """Role -> memory in the first and in the last third: medians and maxima, in MB."""
        with self._lock:
            taken = {role: list(samples) for role, samples in self._memory.items()}
        return {role: _thirds(samples) for role, samples in taken.items() if len(samples) >= 3}

    def total(self, prefix):
        with self._lock:
            return sum(n for what, n in self.counts.items() if what.startswith(prefix))

    def table(self):
        with self._lock:
            lines = [f"{n:8}  {what}" for what, n in sorted(self.counts.items())]
            lines += [f"{s:8.1f}  s at most: {what}" for what, s in sorted(self.longest.items())]
        for role, (first, last) in sorted(self.thirds().items()):
            lines.append(f"{first[0]:8.0f}  MB, {role}, first third (at most {first[1]:.0f} MB)")
            lines.append(f"{last[0]:8.0f}  MB, {role}, last third (at most {last[1]:.0f} MB)")
        return "\n".join(lines)


def _thirds(samples):
    begun, ended = samples[0][0], samples[-1][0]
    third = (ended - begun) / 3
    first = [mb for when, mb in samples if when <= begun + third]
    last = [mb for when, mb in samples if when >= ended - third]
    return [(statistics.median(part), max(part)) for part in (first, last)]
