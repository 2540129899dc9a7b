"""The shared memory: whoever is active divides its time, anew whenever one starts or ends."""

from operator import attrgetter

from simpy import Environment, Event

from simulator.activity import Flow, Progress
from simulator.machine.probe import Probe
from simulator.timing.dram.cost import TrafficShape
from simulator.timing.shares import WHOLE, demand
from simulator.timing.sharing import Sharing, Want
from simulator.units import ceil_div

_BITS = 80
_DONE = 1 << _BITS  # progress of a finished activity, in integer parts of its work
# Parts are rounded down whenever a share changes; together they stay far below this, and so an
# end that is a whole picosecond is met exactly instead of one picosecond late.
_ROUNDING = _DONE >> 20


class _Activity:
    """Work in progress: how much is left, and how long all of it takes at the present share."""

    __slots__ = (
        "alarm", "alone_ps", "channel_ps", "done", "duration", "end", "left", "probe", "progress",
        "rings", "share", "since", "task", "unit", "want",
    )  # fmt: skip

    def __init__(
        self,
        unit: str,
        task: int,
        progress: Progress,
        traffic: TrafficShape | None,
        probe: Probe,
        done: Event,
        now: int,
    ) -> None:
        self.unit, self.task, self.progress = unit, task, progress
        self.probe, self.done = probe, done
        self.alone_ps = progress.duration_ps(WHOLE)
        self.channel_ps = progress.channel_ps
        self.want = Want(unit, demand(self.channel_ps, self.alone_ps), traffic)
        self.left, self.since, self.share, self.duration = _DONE, now, 0, 1
        self.end = self.rings = now
        self.alarm: Event | None = None

    def grant(self, share: int) -> None:
        """Go on at another share."""
        self.share = share
        self.duration = self.alone_ps if share == WHOLE else self.progress.duration_ps(share)

    def served(self, left: int) -> int:
        """Return the memory time used when so much is left; the parts add up to the whole."""
        return self.channel_ps * (_DONE - left) >> _BITS


class SharedDram:
    """Serves activities at the shares that they are granted."""

    def __init__(self, env: Environment, sharing: Sharing | None = None) -> None:
        """Serve in `env`, and share as `sharing` says, by default fairly and undisturbed."""
        self._env = env
        self._sharing = sharing or Sharing()
        self._active: list[_Activity] = []

    def end_undisturbed(self, start: int, progress: Progress) -> int | None:
        """Return the end of work that starts then, if nothing else happens until after it and
        nothing is under way that shares the memory with it; else None.
        """
        end = start + progress.duration_ps(WHOLE)
        shared = self._active and progress.channel_ps
        return None if shared or end >= self._env.peek() else end

    def perform(
        self, unit: str, task: int, traffic: TrafficShape | None, probe: Probe, progress: Progress
    ) -> Event:
        """Return an event that fires when the work is done, however its share changes.

        `traffic` is what the work is for other masters; `probe` observes what it moves.
        """
        if not progress.channel_ps:
            return self._env.timeout(progress.duration_ps(WHOLE))
        done, now = self._env.event(), int(self._env.now)
        self._active.append(_Activity(unit, task, progress, traffic, probe, done, now))
        # Of those that start at one moment, none comes first.
        self._active.sort(key=attrgetter("unit", "task"))
        self._divide(now)
        return done

    def _divide(self, now: int) -> None:
        active = self._active
        wants = tuple([activity.want for activity in active])
        shares = (WHOLE,) if len(active) == 1 else self._sharing.shares(wants)
        for activity, share in zip(active, shares, strict=True):
            if share != activity.share:
                if now > activity.since:
                    done = (now - activity.since) * _DONE // activity.duration
                    self._settle(activity, now, max(0, activity.left - done))
                activity.grant(share)
                self._expect_end(activity, now)

    def _expect_end(self, activity: _Activity, now: int) -> None:
        """See to it that an alarm rings at the end or before; an early one is set again."""
        end = activity.end = now + _time_left(activity)
        if activity.alarm is None or end < activity.rings:
            self._set_alarm(activity, now)

    def _set_alarm(self, activity: _Activity, now: int) -> None:
        activity.rings = activity.end
        alarm = activity.alarm = self._env.timeout(activity.end - now, activity)
        assert alarm.callbacks is not None, "a new event has callbacks"
        alarm.callbacks.append(self._ring)

    def _ring(self, alarm: Event) -> None:
        activity = alarm.value
        assert isinstance(activity, _Activity), "alarms carry their activity"
        if activity.alarm is not alarm:
            return  # an earlier one has been set since
        if activity.rings < activity.end:
            self._set_alarm(activity, activity.rings)
        else:
            self._finish(activity)

    def _finish(self, activity: _Activity) -> None:
        self._settle(activity, activity.end, 0)
        self._active.remove(activity)
        activity.alarm = None  # which knows the activity
        activity.done.succeed()
        if self._active:
            self._divide(activity.end)

    def _settle(self, activity: _Activity, now: int, left: int) -> None:
        """Bring the progress of `activity` up to now, when so much is `left`."""
        since, activity.since = activity.since, now
        before, activity.left = activity.left, left
        if activity.probe.keeps_flows:
            channel_ps = activity.served(left) - activity.served(before)
            if now > since or channel_ps:
                activity.probe.flowed(Flow(activity.unit, activity.task, since, now, channel_ps))


def _time_left(activity: _Activity) -> int:
    if activity.left == _DONE:
        return activity.duration
    return max(0, ceil_div(activity.left * activity.duration - _ROUNDING, _DONE))
