"""Print where capture counts otherwise than a person: python -m tests.scripts [NAME...]."""

import sys
import tempfile
from dataclasses import asdict

from tests.scripts.runs import account, captured, comparable, counted, plain, right
from tests.scripts.truths import TRUTHS


def differences(name, folder):
    """Yield what is right and what capture says, by what it is of."""
    printed = plain(name)
    under, trace = captured(name, folder)
    if isinstance(trace, str):
        yield "trace", "one", trace
        return
    if under != printed:
        yield "printed", "the same", "not the same"
    found, by_hand = account(trace), right(name, printed)
    expected, given = _flat(by_hand), _flat(comparable(name, found, by_hand))
    for key in dict.fromkeys([*expected, *given]):
        if expected.get(key, 0) != given.get(key, 0):
            yield key, expected.get(key, 0), given.get(key, 0)
    if not TRUTHS[name].threaded and (total := counted(name)) != sum(found.flops.values()):
        yield "total", total, sum(found.flops.values())


def _flat(account):
    figures = asdict(account)
    return figures | figures.pop("flops")


def main(names):
    """Print a row for each difference."""
    print("| script | of | right | today |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or TRUTHS:
            for key, expected, given in differences(name, folder):
                print(f"| {name} | {key} | {expected} | {given} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
