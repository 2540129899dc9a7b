"""Two DMA streams of one master on one memory channel."""

from simpy import Environment, Event

from simulator.machine.schedules.twin import EventSteps, StartTransfer
from simulator.timing.pipeline import Transfer


class SharedChannel:
    """The memory as a load and a store stream share it: first come, first served."""

    __slots__ = ("_busy", "_env", "_move", "_next")

    def __init__(self, env: Environment, move: StartTransfer) -> None:
        """StartTransfer transfers with `move`, one at a time."""
        self._env, self._move = env, move
        self._busy = False
        self._next: Event | None = None

    def carry(self, transfer: Transfer) -> EventSteps:
        """StartTransfer a transfer beside those of the other stream.

        It occupies the channel no longer than it needs it, however long its port takes.
        """
        env = self._env
        least_ps = int(env.now) + transfer.port_ps
        if transfer.channel_ps:
            if self._busy:
                yield self._turn()
            self._busy = True
            yield self._move(Transfer(transfer.channel_ps, 0))
            self._leave()
        left_ps = least_ps - int(env.now)
        if left_ps > 0:
            yield env.timeout(left_ps)

    def _turn(self) -> Event:
        """Return the event at which the other stream leaves the channel."""
        self._next = self._env.event()
        return self._next

    def _leave(self) -> None:
        """Leave the channel to the other stream if it waits."""
        if self._next is None:
            self._busy = False
        else:
            self._next.succeed()
            self._next = None
