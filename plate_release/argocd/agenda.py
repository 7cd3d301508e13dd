"""Who is due when, among very many."""

import heapq
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Agenda(Generic[K]):
    """One time a key; setting, moving and taking cost the logarithm of their number."""

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def set(self, key: K, when: float) -> None:
        """Make `key` due at `when`; infinity takes it off."""
        if when == inf:
            self._at.pop(key, None)
        elif self._at.get(key) != when:
            self._at[key] = when
            self._count += 1
            heapq.heappush(self._heap, (when, self._count, key))

    def first(self) -> float:
        """Return when the next is due; infinity where nobody is."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def take(self, now: float) -> K | None:
        """Take the one that is due longest off, if anyone is due at `now`."""
        if self.first() > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._at[key]
        return key
