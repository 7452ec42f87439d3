"""Stops a process that refuses nearly everything: then the fault is ours, or the environment's."""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from hemaline_shared.topics import DeviceName

_REFUSALS = 50
_SHARE = 0.9
_NEWEST_OF_A_DEVICE = 50
_DEVICES = 1000


class Breaker:
    """Looks at the newest that came of each device; safe to call from many threads.

    Each device has one voice, however much it says, so that one that is broken stops no other:
    the mean of the devices' shares of what was refused must be high, after so many refusals.
    """

    def __init__(self, what: str, remedy: str, on_tripped: Callable[[], None]) -> None:
        """Say who is told, once, when it trips.

        Args:
            what: What is refused: `messages`.
            remedy: What then happens to them and what to do; `{reason}` is the commonest one.
            on_tripped: Called once.
        """
        self._what = what
        self._remedy = remedy
        self._on_tripped = on_tripped
        self._newest: OrderedDict[DeviceName, deque[str | None]] = OrderedDict()
        self._counting = threading.Lock()
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Say why it has tripped; it stays so."""
        return self._problem

    def count(self, name: DeviceName, refusal: str | None) -> None:
        """Count one of a device's; `refusal` is its reason, None where it was not refused."""
        with self._counting:
            newest = self._newest.setdefault(name, deque(maxlen=_NEWEST_OF_A_DEVICE))
            newest.append(refusal)
            self._newest.move_to_end(name)
            if len(self._newest) > _DEVICES:
                self._newest.popitem(last=False)
            if not refusal or self._problem:
                return
            self._problem = self._judge()
        if self._problem:
            self._on_tripped()

    def _judge(self) -> str | None:
        reasons = Counter(reason for newest in self._newest.values() for reason in newest if reason)
        shares = [sum(map(bool, newest)) / len(newest) for newest in self._newest.values()]
        if reasons.total() < _REFUSALS or sum(shares) / len(shares) < _SHARE:
            return None
        reason, count = reasons.most_common(1)[0]
        newest = sum(map(len, self._newest.values()))
        return (
            f"nearly everything is refused: {reasons.total()} of the newest {newest} {self._what}, "
            f"{count} of them as {reason}. {self._remedy.format(reason=reason)}"
        )
