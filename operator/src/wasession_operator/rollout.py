"""A changed pod template reaches running sessions a few at a time.

A session holds its turn until its new pod serves; the next one that waits then gets it. So a template whose pods do not
come up stops by itself after as many sessions as may be down.
"""

from wasession_operator.views import Key


class Rollout:
    """`max_unavailable` turns."""

    def __init__(self, max_unavailable: int) -> None:
        self._max = max_unavailable
        self._holding: set[Key] = set()
        self._waiting: dict[Key, None] = {}

    def may_roll(self, key: Key) -> bool:
        """Whether `key` has a turn, or could have one."""
        return key in self._holding or len(self._holding) < self._max

    def take(self, key: Key) -> None:
        """`key` is replaced now."""
        self._waiting.pop(key, None)
        self._holding.add(key)

    def wait(self, key: Key) -> None:
        """`key` is to be replaced when it is its turn."""
        self._waiting[key] = None

    def finish(self, key: Key) -> Key | None:
        """`key` is up to date or gone; returns whose turn it is next."""
        self._waiting.pop(key, None)
        if key not in self._holding:
            return None
        self._holding.discard(key)
        return next(iter(self._waiting), None)
