"""Links in a SimPy environment: messages wait for the ends that they need, first come first
served.
"""

from collections.abc import Container
from random import Random
from typing import NamedTuple

from simpy import Environment, Event

from simulator.hardware.link import Link
from simulator.timing.links import Passage, packets, passage


class MessageRun(NamedTuple):
    """A message that went over a link: between which devices, when, and what it took.

    It was ready at `ready_ps`, occupied the link from `start_ps` on, and arrived at `end_ps`.
    """

    sender: int
    receiver: int
    bytes: int
    repeats: int
    ready_ps: int
    start_ps: int
    end_ps: int
    passage: Passage


def ports_of(
    medium: str, sender: int, receiver: int, hub: Container[int] = ()
) -> tuple[tuple[int, str], ...]:
    """Return what a message occupies: the whole medium, or a port at each end that is no hub."""
    if medium == "shared":
        return ((0, "medium"),)
    names = ("port", "port") if medium == "half" else ("out", "in")
    ends = zip((sender, receiver), names, strict=True)
    return tuple(end for end in ends if end[0] not in hub)


class SharedLink:
    """A link that serves messages in the order in which they are ready.

    A message occupies its sender and its receiver at once, or the whole medium; as the order is
    first come first served, the next free time of each says all that there is to wait for.
    """

    def __init__(self, env: Environment, link: Link, seed: str, hub: Container[int] = ()) -> None:
        """Serve `link` in `env`; `seed` decides which packets get lost. Devices of the `hub` are
        behind the link: they have neither ports nor radios.
        """
        self._env, self.link, self._hub = env, link, hub
        self._draws = Random(seed)
        self._free_ps: dict[tuple[int, str], int] = {}
        self._passages: dict[tuple[int, int], Passage] = {}
        self.messages: list[MessageRun] = []

    def send(self, sender: int, receiver: int, size: int) -> Event:
        """Return the event of the arrival at `receiver` of a message that is ready now."""
        now, repeats = int(self._env.now), self._repeats(size)
        took = self._at_ends(self._passage(size, repeats), sender, receiver)
        ends = ports_of(self.link.medium, sender, receiver, self._hub)
        start = max((now, *(self._free_ps.get(end, 0) for end in ends)))
        for end in ends:
            self._free_ps[end] = start + took.occupied_ps
        arrival = start + took.duration_ps
        run = MessageRun(sender, receiver, size, repeats, now, start, arrival, took)
        self.messages.append(run)
        return self._env.timeout(arrival - now)

    def _at_ends(self, took: Passage, sender: int, receiver: int) -> Passage:
        """Return a passage without the energy of an end that is a hub."""
        if sender in self._hub:
            took = took._replace(send_aj=0)
        return took._replace(receive_aj=0) if receiver in self._hub else took

    def _passage(self, size: int, repeats: int) -> Passage:
        key = size, repeats
        if key not in self._passages:
            self._passages[key] = passage(self.link, size, repeats)
        return self._passages[key]

    def _repeats(self, size: int) -> int:
        """Return how many packets get lost on the way, repeats included: each by itself."""
        loss = self.link.loss / 1000
        if not loss:
            return 0
        return sum(self._losses(loss) for _ in range(packets(self.link, size)))

    def _losses(self, loss: float) -> int:
        times = 0
        while self._draws.random() < loss:
            times += 1
        return times
