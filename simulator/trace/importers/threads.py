"""Which thread of a profile ran the forward op of a backward op."""

from collections import Counter
from collections.abc import Sequence

from simulator.trace.importers.nodes import Node

TimedNode = tuple[float, float, Node]  # start, end, node


def number_threads(threads: Sequence[Sequence[TimedNode]]) -> None:
    """Number the threads of a process, and set the thread of each forward op by these numbers.

    Each thread counts its autograd nodes itself. A profile names the thread of a forward op by a
    number that occurs nowhere else: it is the thread that has most of the sequence numbers
    differentiated under that number.
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


def _sequence_numbers(events: Sequence[TimedNode]) -> set[int]:
    """Return the sequence numbers of a thread's forward ops, which name no forward thread."""
    nodes = (node for _, _, node in events)
    return {node.seq for node in nodes if node.seq >= 0 and not node.forward_thread}


def _owners(threads: Sequence[Sequence[TimedNode]], forward: Sequence[set[int]]) -> dict[int, int]:
    votes: dict[int, Counter[int]] = {}
    for events in threads:
        for _, _, node in events:
            if node.seq >= 0 and node.forward_thread:
                having = (number for number, numbers in enumerate(forward) if node.seq in numbers)
                votes.setdefault(node.forward_thread, Counter()).update(having)
    owners: dict[int, int] = {}
    for name, counted in sorted(votes.items()):
        # On a tie, take the first thread without a name: they are named in order of their start.
        chosen = set(owners.values())
        if counted:
            owners[name] = max(counted, key=lambda n: (counted[n], n not in chosen, -n))
    return owners
