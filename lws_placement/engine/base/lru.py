"""What was asked for lately: the answers to the last few questions, each as good as its state."""

from collections.abc import Hashable
from typing import Generic, TypeVar

A = TypeVar("A")

_MOST = 64


class LruCache(Generic[A]):
    """Of more than `most` (64) the one that was not asked for the longest time is forgotten."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most or _MOST
        self._answers: dict[Hashable, A] = {}

    def get(self, question: Hashable) -> A | None:
        if question not in self._answers:
            return None
        answer = self._answers[question] = self._answers.pop(question)
        return answer

    def put(self, question: Hashable, answer: A) -> None:
        self._answers.pop(question, None)
        if len(self._answers) >= self._most:
            del self._answers[next(iter(self._answers))]
        self._answers[question] = answer
