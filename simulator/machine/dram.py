"""The shared memory: whoever is active divides its time, anew whenever one starts or ends."""

from simpy import Environment, Event

from simulator.activity import Flow, Progress, Unit
from simulator.machine.probe import Probe
from simulator.timing.shares import WHOLE, burst_shares, demand
from simulator.units import ceil_div

_BITS = 80
_DONE = 1 << _BITS  # progress of a finished activity, in integer parts of its work
# Parts are rounded down whenever a share changes; together they stay far below this, and so an
# end that is a whole picosecond is met exactly instead of one picosecond late.
_ROUNDING = _DONE >> 20


class _Activity:
    """Work in progress: how much is left, and how long all of it takes at the present share."""

    __slots__ = ("demand", "done", "duration", "left", "progress", "share", "since", "task", "unit")

    def __init__(self, unit: Unit, task: int, progress: Progress, done: Event, now: int) -> None:
        self.unit, self.task, self.progress, self.done = unit, task, progress, done
        self.demand = demand(progress.channel_ps, progress.duration_ps(WHOLE))
        self.left, self.since, self.share, self.duration = _DONE, now, 0, 1

    def served(self, left: int) -> int:
        """Return the memory time used when so much is left; the parts add up to the whole."""
        return self.progress.channel_ps * (_DONE - left) >> _BITS


class SharedDram:
    """Serves activities at the shares that `timing.shares` grants them."""

    def __init__(self, env: Environment, probe: Probe) -> None:
        """Serve in `env`; tell `probe` what flows."""
        self._env = env
        self._probe = probe
        self._active: list[_Activity] = []

    def perform(self, unit: Unit, task: int, progress: Progress) -> Event:
        """Return an event that fires when the work is done, however its share changes."""
        if not progress.channel_ps:
            return self._env.timeout(progress.duration_ps(WHOLE))
        done = self._env.event()
        activity = _Activity(unit, task, progress, done, int(self._env.now))
        self._active.append(activity)
        self._divide()
        return done

    def _divide(self) -> None:
        shares = burst_shares([activity.demand for activity in self._active])
        for activity, share in zip(self._active, shares, strict=True):
            if share != activity.share:
                self._settle(activity)
                activity.share = share
                activity.duration = activity.progress.duration_ps(share)
                self._schedule(activity)

    def _schedule(self, activity: _Activity) -> None:
        alarm = self._env.timeout(_time_left(activity))
        share = activity.share
        assert alarm.callbacks is not None
        alarm.callbacks.append(lambda _: self._finish(activity, share))

    def _finish(self, activity: _Activity, share: int) -> None:
        now = int(self._env.now)
        due = activity.since + _time_left(activity)
        if activity.share != share or now != due or activity.done.triggered:
            return  # the share has changed since this alarm was set
        self._settle(activity, left=0)
        self._active.remove(activity)
        activity.done.succeed()
        self._divide()

    def _settle(self, activity: _Activity, left: int | None = None) -> None:
        """Bring the progress of `activity` up to now, or to what is known to be `left`."""
        now = int(self._env.now)
        elapsed = now - activity.since
        if left is None:
            left = max(0, activity.left - elapsed * _DONE // activity.duration)
        moved = activity.served(left) - activity.served(activity.left)
        if elapsed or moved:
            flow = Flow(activity.unit, activity.task, activity.since, now, moved)
            self._probe.flowed(flow)
        activity.left, activity.since = left, now


def _time_left(activity: _Activity) -> int:
    return max(0, ceil_div(activity.left * activity.duration - _ROUNDING, _DONE))
