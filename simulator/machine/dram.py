"""The shared memory: whoever is active divides its time, anew whenever one starts or ends."""

from simpy import Environment, Event

from simulator.activity import Flow, Progress, Unit
from simulator.machine.probe import Probe
from simulator.timing.shares import WHOLE, burst_shares, demand, max_min_fair
from simulator.units import ceil_div

_BITS = 80
_DONE = 1 << _BITS  # progress of a finished activity, in integer parts of its work
# Parts are rounded down whenever a share changes; together they stay far below this, and so an
# end that is a whole picosecond is met exactly instead of one picosecond late.
_ROUNDING = _DONE >> 20


class _Activity:
    """Work in progress: how much is left, and how long all of it takes at the present share."""

    __slots__ = (
        "alarm", "alone_ps", "demand", "done", "duration", "left", "progress", "share", "since",
        "task", "unit",
    )  # fmt: skip

    def __init__(self, unit: Unit, task: int, progress: Progress, done: Event, now: int) -> None:
        self.unit, self.task, self.progress, self.done = unit, task, progress, done
        self.alone_ps = progress.duration_ps(WHOLE)
        self.demand = demand(progress.channel_ps, self.alone_ps)
        self.left, self.since, self.share, self.duration = _DONE, now, 0, 1
        self.alarm: Event | None = None

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
        for activity, share in zip(self._active, self._shares(), strict=True):
            if share != activity.share:
                self._settle(activity)
                activity.share = share
                whole = share == WHOLE
                activity.duration = (
                    activity.alone_ps if whole else activity.progress.duration_ps(share)
                )
                self._set_alarm(activity)

    def _shares(self) -> list[int]:
        """Divide among masters first, then among the streams of each."""
        active = self._active
        if len(active) == 1:
            return [WHOLE]
        demands = [activity.demand for activity in active]
        units = list(dict.fromkeys(activity.unit for activity in active))
        if len(units) == len(active):
            return burst_shares(demands)
        if len(units) == 1:
            return max_min_fair(demands)
        streams = {unit: [a for a in active if a.unit is unit] for unit in units}
        wanted = [min(WHOLE, sum(a.demand for a in streams[unit])) for unit in units]
        granted = dict(zip(units, burst_shares(wanted), strict=True))
        share_of: dict[_Activity, int] = {}
        for unit, mine in streams.items():
            parts = max_min_fair([a.demand for a in mine], granted[unit])
            share_of.update(zip(mine, parts, strict=True))
        return [share_of[activity] for activity in active]

    def _set_alarm(self, activity: _Activity) -> None:
        alarm = activity.alarm = self._env.timeout(_time_left(activity), activity)
        assert alarm.callbacks is not None, "a new event has callbacks"
        alarm.callbacks.append(self._finish)

    def _finish(self, alarm: Event) -> None:
        activity = alarm.value
        assert isinstance(activity, _Activity), "alarms carry their activity"
        if activity.alarm is not alarm:
            return  # the share has changed since this alarm was set
        self._settle(activity, left=0)
        self._active.remove(activity)
        activity.done.succeed()
        if self._active:
            self._divide()

    def _settle(self, activity: _Activity, left: int | None = None) -> None:
        """Bring the progress of `activity` up to now, or to what is known to be `left`."""
        now = int(self._env.now)
        elapsed = now - activity.since
        if not elapsed and left is None:
            return
        if left is None:
            left = max(0, activity.left - elapsed * _DONE // activity.duration)
        moved = activity.served(left) - activity.served(activity.left)
        if elapsed or moved:
            flow = Flow(activity.unit, activity.task, activity.since, now, moved)
            self._probe.flowed(flow)
        activity.left, activity.since = left, now


def _time_left(activity: _Activity) -> int:
    if activity.left == _DONE:
        return activity.duration
    return max(0, ceil_div(activity.left * activity.duration - _ROUNDING, _DONE))
