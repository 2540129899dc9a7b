"""Which thread of a profile ran the forward op that a backward one differentiates."""

from collections import Counter
from collections.abc import Sequence

from simulator.trace.importers.nodes import Node

Event = tuple[float, float, Node]  # when it began and ended, itself


def number_threads(threads: Sequence[Sequence[Event]]) -> None:
    """Number the threads of a process, and say by these numbers where forward ops ran.

    Every thread counts its autograd nodes itself, and a profile names the thread of a forward op
    by a number that no other event has: the thread whose ops have most of the sequence numbers
    that were differentiated under that number.
    """
    forward = [_sequence_numbers(events) for events in threads]
    if sum(map(bool, forward)) < 2:
        for events in threads:
            for _, _, node in events:
                node.forward_thread = 0
        return
    owners = _owners(threads, forward)
    for number, events in enumerate(threads):
        for _, _, node in events:
            node.thread, node.forward_thread = number, owners.get(node.forward_thread, 0)


def _sequence_numbers(events: Sequence[Event]) -> set[int]:
    """Return those of the forward ops of a thread: backward ones say where their forward ran."""
    nodes = (node for _, _, node in events)
    return {node.seq for node in nodes if node.seq >= 0 and not node.forward_thread}


def _owners(threads: Sequence[Sequence[Event]], forward: Sequence[set[int]]) -> dict[int, int]:
    votes: dict[int, Counter[int]] = {}
    for events in threads:
        for _, _, node in events:
            if node.seq >= 0 and node.forward_thread:
                having = (number for number, seen in enumerate(forward) if node.seq in seen)
                votes.setdefault(node.forward_thread, Counter()).update(having)
    owners: dict[int, int] = {}
    for name, counted in sorted(votes.items()):
        # Of equals the first that has no name yet: threads are named in the order they begin.
        taken = set(owners.values())
        if counted:
            owners[name] = max(counted, key=lambda n: (counted[n], n not in taken, -n))
    return owners
