"""Schedules whose double buffers let load, compute and store run ahead of each other."""

from typing import NamedTuple

from simulator.timing.schedules.schedule import Ticks


class InTurn(NamedTuple):
    """One stream serves loads and stores in the order load(i), store(i-1), load(i+1).

    A load waits until the tile two before has been computed, a computation until the output two
    before has been stored. A load that `waits` does so until the tile just before has been
    computed. Fields: end of the stream's last transfer, of the last computation and
    of the last two stores; length of the store that is due.
    """

    memory: int = 0
    computed: int = 0
    stored: int = 0
    stored_before: int = 0
    due: int = 0

    def step(self, tile: Ticks) -> "InTurn":
        """Return the state after one more tile."""
        memory, computed, stored, before, due = self
        loaded = 0
        if tile.load:
            memory = (max(memory, computed) if tile.waits else memory) + tile.load
            loaded = memory + tile.lag
        if due:
            memory = max(memory, computed) + due
            before, stored = stored, memory
        end = max(loaded, computed, before) + tile.compute
        # Anything before `end` can no longer delay the next tile; folding it makes states equal.
        return InTurn(max(memory, computed), end, max(stored, end), max(before, end), tile.store)

    def relative(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        memory, computed, stored, before, due = self
        return memory - computed, stored - computed, before - computed, due

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "InTurn":
        """Return the same state `ticks` later."""
        memory, computed, stored, before, due = self
        return InTurn(memory + ticks, computed + ticks, stored + ticks, before + ticks, due)

    def end(self) -> int:
        """Return when the last byte is stored."""
        return max(self.memory, self.computed) + self.due


class SideBySide(NamedTuple):
    """Loads and stores have streams of their own and share the channel, first come first served.

    The same double buffers as `InTurn`. A store that waits for the one before is `queued`, at most
    until after the next load but one. Fields: end of the load stream's and the channel's last
    transfer, of the last computation and the last two stores; the queued store's earliest start
    and length; length of the store that is due.
    """

    loads: int = 0
    channel: int = 0
    computed: int = 0
    stored: int = 0
    stored_before: int = 0
    start: int = 0
    queued: int = 0
    queued_channel: int = 0
    due: int = 0
    due_channel: int = 0

    def step(self, tile: Ticks) -> "SideBySide":
        """Return the state after one more tile."""
        (
            loads, channel, computed, stored, before,
            start, queued, queued_channel, due, due_channel,
        ) = self  # fmt: skip
        waits = tile.waits and tile.load
        if waits:
            loads = max(loads, computed)
        first = queued and start <= loads
        if first:
            channel = max(channel, start) + queued_channel
            before, stored = stored, max(start + queued, channel)
        if waits and due and (first or not queued) and max(stored, computed) <= loads:
            # The load has waited for what is due, too, which leaves first.
            start = max(stored, computed)
            channel = max(channel, start) + due_channel
            before, stored, due = stored, max(start + due, channel), 0
        loaded = 0
        if tile.load:
            channel = max(channel, loads) + tile.load_channel
            loads = max(loads + tile.load, channel)
            loaded = loads + tile.lag
        if queued and not first:
            channel = max(channel, start) + queued_channel
            before, stored = stored, max(start + queued, channel)
        # of the stores so far, that of the last tile is still to start
        other = stored if due else before
        end = max(loaded, computed, other) + tile.compute
        # Anything before `computed` can no longer delay; folding it makes states equal.
        stored = max(stored, computed)
        return SideBySide(
            max(loads, computed), max(channel, computed), end, stored, max(before, computed),
            stored if due else 0, due, due_channel, tile.store, tile.store_channel,
        )  # fmt: skip

    def relative(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        loads, channel, at, stored, before, start, *waiting = self
        start = start - at if self.queued else 0
        return loads - at, channel - at, stored - at, before - at, start, *waiting

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "SideBySide":
        """Return the same state `ticks` later."""
        loads, channel, computed, stored, before, start, *waiting = self
        return SideBySide(
            loads + ticks, channel + ticks, computed + ticks, stored + ticks, before + ticks,
            start + ticks, *waiting,
        )  # fmt: skip

    def end(self) -> int:
        """Return when the last byte is stored."""
        channel, stored = self.channel, self.stored
        for ready, store, store_channel in (
            (self.start, self.queued, self.queued_channel),
            (self.computed, self.due, self.due_channel),
        ):
            if store:
                start = max(stored, ready)
                channel = max(channel, start) + store_channel
                stored = max(start + store, channel)
        return max(self.computed, stored)


class TwoSlots(NamedTuple):
    """A tile takes one of two slots from its first load to the end of its store.

    It computes when all of it is loaded, and is stored when all of it is computed (Gemmini's loop
    unrollers). Fields: end of the last transfer of the load stream, the store stream and the
    channel, of the last computation; when the next tile's slot is free; length of the store due.
    """

    loads: int = 0
    stores: int = 0
    channel: int = 0
    computed: int = 0
    slot: int = 0
    due: int = 0
    due_channel: int = 0

    def step(self, tile: Ticks) -> "TwoSlots":
        """Return the state after one more tile."""
        loads, stores, channel, computed, slot, due, due_channel = self
        loads = max(loads, slot)
        if tile.load:
            loads = max(loads, computed) if tile.waits else loads
            channel = max(channel, loads) + tile.load_channel
            loads = max(loads + tile.load, channel)
        slot = computed
        if due:
            start = max(stores, computed)
            channel = max(channel, start) + due_channel
            slot = stores = max(start + due, channel)
        end = max(computed, loads + tile.lag) + tile.compute
        loads = max(loads, slot)
        return TwoSlots(
            loads, max(stores, end), max(channel, loads), end, slot,
            tile.store, tile.store_channel,
        )  # fmt: skip

    def relative(self) -> tuple[int, ...]:
        """Return the state relative to its last computation."""
        loads, stores, channel, computed, slot, due, due_channel = self
        at = computed
        return loads - at, stores - at, channel - at, slot - at, due, due_channel

    def time(self) -> int:
        """Return the end of the last computation."""
        return self.computed

    def later(self, ticks: int) -> "TwoSlots":
        """Return the same state `ticks` later."""
        loads, stores, channel, computed, slot, due, due_channel = self
        return TwoSlots(
            loads + ticks, stores + ticks, channel + ticks, computed + ticks, slot + ticks,
            due, due_channel,
        )  # fmt: skip

    def end(self) -> int:
        """Return when the last byte is stored."""
        if not self.due:
            return max(self.computed, self.slot)
        start = max(self.stores, self.computed)
        return max(start + self.due, max(self.channel, start) + self.due_channel)
