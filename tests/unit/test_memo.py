"""Memos are bounded, all of them are registered, and what they remember changes no result."""

import ast
import gc
import itertools
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator
import workloads
from simulator import memo
from simulator.memo import Memo
from simulator.replay import Replay
from tests.builders import StepBuilder, machine, one_step_trace

ROOMS = [Path(package.__file__).parent for package in (simulator, workloads)]
SOURCES = {
    path.relative_to(room.parent).as_posix(): path for room in ROOMS for path in room.rglob("*.py")
}
OWN = "simulator/memo.py"


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_a_memo_keeps_the_newest(keys, most):
    kept, model = Memo("model", most), OrderedDict()
    calls = itertools.count()
    for key in keys:
        if key not in model:
            while len(model) >= most:
                model.popitem(last=False)
            model[key] = next(calls)
            assert kept.find(key) is None
            assert kept.get(key, lambda key=key: model[key]) == model[key]
        assert kept.get(key, pytest.fail) == kept.find(key) == model[key]
        assert len(kept) == len(model)


def test_sizes_adds_up_the_memos_of_one_name_while_they_live():
    one, other = Memo("two of a kind", 2), Memo("two of a kind", 3)
    one.keep("a", 1)
    other.keep("a", 1)
    assert memo.Size("two of a kind", 2, 5) in memo.sizes()
    del other
    assert memo.Size("two of a kind", 1, 2) in memo.sizes()


def test_remember_calls_once_and_forgets_the_least_used():
    calls = []
    squared = memo.remember("squares", most=2)(lambda n: calls.append(n) or n * n)
    assert [squared(n) for n in (3, 4, 3, 5, 3, 4)] == [9, 16, 9, 25, 9, 16]
    assert calls == [3, 4, 5, 4]
    assert memo.Size("squares", 2, 2) in memo.sizes()


def test_clear_empties_functions_and_memos():
    squared = memo.remember("squares", most=2)(lambda n: n * n)
    kept = Memo("kept", 2)
    squared(3)
    kept.keep(3, 9)
    memo.clear()
    assert {size for size in memo.sizes() if size.entries} == set()
    assert kept.find(3) is None
    assert squared(3) == 9


# What a process remembers of its runs, read again by the tests below.
def _trace():
    builder = StepBuilder()
    x = builder.gemm(96, 80, 72)
    builder.gemm(96, 64, 80, a=builder.elementwise(x))
    return one_step_trace(builder, 3)


def _run(trace, **changes):
    result = Replay(machine(**changes), trace).run().to_json()
    gc.collect()  # memos of objects that are gone
    return result, {size.name: size for size in memo.sizes()}


def test_a_run_costs_the_same_after_everything_is_forgotten():
    trace = _trace()
    before, remembered = _run(trace)
    memo.clear()
    assert not any(size.entries for size in memo.sizes())
    after, again = _run(trace)
    assert after == before
    assert sum(size.entries for size in remembered.values()) > 100
    assert sum(size.entries for size in again.values()) > 100


def test_two_runs_in_one_process_stay_within_the_limits():
    trace = _trace()
    memo.clear()
    _, first = _run(trace)
    _, repeated = _run(trace)
    assert repeated == first, "an equal run finds all that it needs"
    _, other = _run(trace, accelerator__rows="8", dram__preset="LPDDR4-4266_x32_1ch")
    assert {name for name, size in other.items() if size.entries > size.most} == set()


# Every cache in the product is one of these. A `cached_property` is none: it is one value, an
# attribute of its object.
@lru_cache(maxsize=1)
def _trees():
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


_FUNCTOOLS = {"functools.cache", "functools.lru_cache"}


def _functools_caches(tree):
    """Yield the lines where `functools.cache` or `lru_cache` is imported or named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "functools":
            if _FUNCTOOLS & {f"functools.{alias.name}" for alias in node.names}:
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in _FUNCTOOLS:
            yield node.lineno


def _cleared_when_full(tree):
    """Yield the lines of `if len(x) >= limit: x.clear()`: a bound made by hand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and any(
            isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "len"
            for call in ast.walk(node.test)
        ):
            for call in (each for line in node.body for each in ast.walk(line)):
                if isinstance(call, ast.Attribute) and call.attr in ("clear", "popitem"):
                    yield node.lineno


def _made_by_hand():
    return {
        name: lines
        for name, tree in _trees().items()
        if (lines := sorted([*_functools_caches(tree), *_cleared_when_full(tree)]))
    }


def test_every_cache_is_a_registered_memo():
    assert set(_made_by_hand()) == {OWN}, _made_by_hand()


def _names():
    """Yield the name in every `remember(...)` and `Memo(...)` of the product."""
    for source, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and source != OWN:
                called = node.func.id if isinstance(node.func, ast.Name) else ""
                called = called or getattr(node.func, "attr", "")
                if called in ("remember", "Memo"):
                    assert isinstance(node.args[0], ast.Constant), (source, node.lineno)
                    yield node.args[0].value


def test_every_name_is_given_once():
    names = list(_names())
    assert len(names) > 5
    assert [name for name in set(names) if names.count(name) > 1] == []
