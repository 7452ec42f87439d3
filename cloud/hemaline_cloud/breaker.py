"""Stops a process that refuses nearly everything: then the fault is ours, or the environment's."""

import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from hemaline_shared.errors import TransientError
from hemaline_shared.topics import DeviceName

_REFUSALS = 50
_SHARE = 0.9
_NEWEST_OF_A_DEVICE = 50
_DEVICES = 1000
_AFTER_A_RESTART = 3

Count: TypeAlias = tuple[DeviceName, str | None]
"""Whose it was, and why it was refused; None where it was not."""


class Breaker:
    """Looks at the newest that came of each device; safe to call from many threads.

    Each device has one voice, however much it says, so that one that is broken stops no other:
    the mean of the devices' shares of what was refused must be high, after so many refusals.

    A process that stopped for it and is started again, its cause still there, would refuse as many
    each time. So it looks at what it ended before, too: a few refusals are enough then, and a
    device of which anything is taken in begins anew.
    """

    def __init__(
        self,
        what: str,
        remedy: str,
        on_tripped: Callable[[], None],
        before: Callable[[], Sequence[Count]] = tuple,
    ) -> None:
        """Say who is told, once, when it trips.

        Args:
            what: What is refused: `messages`.
            remedy: What then happens to them and what to do; `{reason}` is the commonest one.
            on_tripped: Called once.
            before: Returns what was ended before this process, oldest first; asked at the first
                refusal, and again where it raises TransientError.
        """
        self._what = what
        self._remedy = remedy
        self._on_tripped = on_tripped
        self._newest: OrderedDict[DeviceName, deque[str | None]] = OrderedDict()
        self._ask_before: Callable[[], Sequence[Count]] | None = before
        self._before: defaultdict[DeviceName, list[str | None]] = defaultdict(list)
        self._refusals = 0
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
            if not refusal:
                self._before.pop(name, None)
            if not refusal or self._problem:
                return
            self._refusals += 1
            self._recall()
            self._problem = self._judge()
        if self._problem:
            self._on_tripped()

    def _recall(self) -> None:
        """Ask once what was ended before, of devices of which nothing was taken in since."""
        if self._ask_before is None:
            return
        try:
            before = self._ask_before()
        except TransientError:
            return
        self._ask_before = None
        for name, refusal in before:
            if None not in self._newest.get(name, ()):
                self._before[name].append(refusal)

    def _judge(self) -> str | None:
        names = self._newest.keys() | self._before.keys()
        ended = [[*self._before.get(name, ()), *self._newest.get(name, ())] for name in names]
        reasons = Counter(reason for one in ended for reason in one if reason)
        shares = [sum(map(bool, one)) / len(one) for one in ended]
        if self._refusals < _AFTER_A_RESTART or reasons.total() < _REFUSALS:
            return None
        if sum(shares) / len(shares) < _SHARE:
            return None
        reason, count = reasons.most_common(1)[0]
        newest = sum(map(len, ended))
        return (
            f"nearly everything is refused: {reasons.total()} of the newest {newest} {self._what}, "
            f"{count} of them as {reason}. {self._remedy.format(reason=reason)}"
        )
