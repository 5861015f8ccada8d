"""How often somebody may do something: a window that slides over a minute, in this process."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic

_MINUTE = 60.0
_MOST_KEYS = 10_000


class Limiter:
    """At most ``most`` events in a minute for each key."""

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_to_wait(self, key: str) -> float:
        """0 where one more event is allowed now."""
        with self._lock:
            events = self._recent(key)
            if len(events) < self._most:
                return 0.0
            return max(0.001, events[0] + _MINUTE - self._clock())

    def note(self, key: str) -> None:
        """Count an event."""
        with self._lock:
            self._recent(key).append(self._clock())

    def _recent(self, key: str) -> deque[float]:
        events = self._events.setdefault(key, deque())
        self._events.move_to_end(key)
        while len(self._events) > _MOST_KEYS:
            self._events.popitem(last=False)
        while events and events[0] <= self._clock() - _MINUTE:
            events.popleft()
        return events
