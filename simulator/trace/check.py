"""Validation of the rows of a trace file, once, where they are read; later code trusts them.

Rules are expressions over whole columns, which cost little next to the construction of ops.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from simulator.errors import InputError, shown
from simulator.files.columns import Broken, ColumnRule, at_least, first_broken, present
from simulator.trace.geometry import larger_than_operands, mismatch
from simulator.trace.header import AGAIN, LARGEST, Header
from simulator.trace.op import known_bits
from simulator.trace.plain_rows import CONV, GEMM, TENSOR, gemm_of
from simulator.trace.rows import MEASURED, schema

_TENSORS = ("inputs", "outputs")
_OPERANDS = {"a": "inputs", "b": "inputs", "c": "outputs"}
_EXACT = 2.0**60  # below it neither a float estimate is far off nor a 64-bit sum overflows


def check_types(actual: pl.Schema, header: Header, source: str) -> None:
    """Raise InputError where the columns of a file are not those of a trace."""
    for name, reference in schema(measured=header.measured_ps is not None).items():
        misfit = _misfit(actual.get(name), reference, name)
        if misfit:
            raise InputError(f"{source}: {misfit}: {AGAIN}")


def check_rows(frame: pl.DataFrame, header: Header, source: str) -> None:
    """Raise InputError that names file, op, field and value where a row is no op of a trace."""
    rows = frame.with_row_index("row")
    ops = rows.with_columns(length=pl.len().over("step"))
    _check(ops, [_op_rules(len(header.steps), measured=MEASURED in frame.columns)], rows, source)
    tensors = pl.concat([_each(rows, side, TENSOR) for side in _TENSORS])
    _check(_with_rooms(tensors, header), _tensor_rules(), rows, source)
    counts = [pl.col(side).list.len().alias(side) for side in _TENSORS]
    gemms = _each(rows, "gemms", (*GEMM, "conv"), *counts)
    _check(gemms, _gemm_rules(), rows, source)
    convs = gemms.with_columns(pl.col("conv").struct.field(list(CONV)))
    convs = convs.filter(pl.any_horizontal(pl.col(CONV).is_not_null()))
    _check(convs, [_conv_rules()], rows, source)
    _check_products(_with_operands(gemms, tensors), rows, source)


def _misfit(actual: Any, reference: Any, where: str) -> str:
    """Return the difference between two types, "" if none; structs may have further fields."""
    if isinstance(reference, pl.List) and isinstance(actual, pl.List):
        return _misfit(actual.inner, reference.inner, where)
    if isinstance(reference, pl.Struct) and isinstance(actual, pl.Struct):
        fields = actual.to_schema()
        inner = reference.to_schema().items()
        misfits = (_misfit(fields.get(name), kind, f"{where}.{name}") for name, kind in inner)
        return next(filter(None, misfits), "")
    if actual == reference:
        return ""
    return f"{where}: {'missing' if actual is None else f'a column of {actual!s:.40}'}"


def _check(
    frame: pl.DataFrame, stages: Sequence[Sequence[ColumnRule]], rows: pl.DataFrame, source: str
) -> None:
    broken = first_broken(frame, stages)
    if broken:
        raise InputError(_sentence(broken, rows, source))


def _sentence(broken: Broken, rows: pl.DataFrame, source: str) -> str:
    rule, row = broken
    op = rows.row(row["row"], named=True)
    before = rows.head(row["row"]).filter(pl.col("step").eq_missing(op["step"])).height
    where = f"op {before} of step {shown(op['step'])} ({shown(op['name'] or '', 60)[1:-1]})"
    place = f"{row['side']}.{row['place']}." if "side" in row else ""
    value = shown(row[rule.field.rpartition(".")[2]])
    return f"{source}: {where}: {place}{rule.field}: {value}: {rule.says}: {AGAIN}"


def _each(rows: pl.DataFrame, side: str, fields: Sequence[str], *more: pl.Expr) -> pl.DataFrame:
    """Return a row per entry of a list of structs, with its `fields` and its place in the list."""
    count = pl.col(side).list.len()
    entries = rows.filter(count > 0).select(
        "row", "step", *more, pl.int_ranges(count).alias("place"), pl.col(side).alias("_entry")
    )
    exploded = entries.explode("place", "_entry")
    values = pl.col("_entry").struct.field(list(fields))
    return exploded.select(pl.exclude("_entry"), values, pl.lit(side).alias("side"))


def _with_rooms(tensors: pl.DataFrame, header: Header) -> pl.DataFrame:
    """Return `tensors` with the bytes of their storages (`room`) and the bits of an element."""
    sizes = [
        (step, storage, size)
        for step, entry in enumerate(header.steps)
        for storage, (size, _, _) in enumerate(entry.storages)
    ]
    types = {"step": pl.Int64, "storage": pl.Int64, "room": pl.Int64}
    rooms = pl.DataFrame(sizes, schema=types, orient="row")
    widths = {name: known_bits(name) for name in tensors["dtype"].unique().drop_nulls()}
    bits = pl.col("dtype").replace_strict(widths, default=None, return_dtype=pl.Int64)
    joined = tensors.join(rooms, on=["step", "storage"], how="left", maintain_order="left")
    return joined.with_columns(bits=bits)


def _with_operands(gemms: pl.DataFrame, tensors: pl.DataFrame) -> pl.DataFrame:
    """Return `gemms` with the elements of A, B and C, null for a temporary."""
    elements = _product(pl.col("shape")).alias("elements")
    sizes = tensors.select("row", "side", "place", elements)
    for name, side in _OPERANDS.items():
        of_side = sizes.filter(pl.col("side") == side).select(
            "row", pl.col("place").alias(name), pl.col("elements").alias(f"{name}_elements")
        )
        gemms = gemms.join(of_side, on=["row", name], how="left", maintain_order="left")
    return gemms


def _check_products(gemms: pl.DataFrame, rows: pl.DataFrame, source: str) -> None:
    """Raise InputError where a GEMM contradicts its convolution or its operands.

    Layers and steps repeat, so few GEMMs are distinct; only those are checked, one by one.
    """
    parts = [name for name in gemms.columns if name not in ("row", "step", "place", *_TENSORS)]
    for entry in gemms.unique(parts, keep="first", maintain_order=True).iter_rows(named=True):
        gemm = gemm_of(entry)
        wrong = gemm.conv and mismatch(gemm, gemm.conv)
        elements = [entry[f"{name}_elements"] for name in _OPERANDS]
        wrong = wrong or larger_than_operands(gemm, elements)
        if wrong:
            value = entry | (entry["conv"] or {})
            rule = ColumnRule(wrong.field, pl.lit(value=True), wrong.says)
            raise InputError(_sentence(Broken(rule, value), rows, source))


def _op_rules(steps: int, *, measured: bool) -> list[ColumnRule]:
    texts = [present(name) for name in ("name", "kind", "phase", "layer", "random")]
    lists = [present(name) for name in (*_TENSORS, "gemms")]
    return [
        ColumnRule("step", pl.col("step").is_between(0, steps - 1), f"the trace has {steps} steps"),
        *texts,
        *lists,
        ColumnRule(
            "forward",
            pl.col("forward").is_between(-1, pl.col("length").cast(pl.Int64) - 1),
            "no op of its step, and not -1",
        ),
        *([at_least(MEASURED, 0)] if measured else []),
    ]


def _tensor_rules() -> list[list[ColumnRule]]:
    shape, strides = pl.col("shape"), pl.col("strides")
    sizes = shape.list.eval(pl.element().cast(pl.Float64))
    reach = pl.col("offset") + ((shape - 1) * strides).list.sum() + 1
    steps = (sizes - 1) * strides.list.eval(pl.element().cast(pl.Float64))
    reach_bits = (pl.col("offset").cast(pl.Float64) + steps.list.sum() + 1) * pl.col("bits")
    fits = (reach_bits < _EXACT) & (reach * pl.col("bits") <= pl.col("room") * 8)
    empty = shape.list.contains(0)
    return [
        [
            ColumnRule("storage", pl.col("room").is_not_null(), "no storage of its step"),
            ColumnRule(
                "dtype", pl.col("bits").is_not_null(), "no element type that trainsoc knows"
            ),
            _sizes("shape", 0),
            _sizes("strides", 0),
            at_least("offset", 0),
        ],
        [
            ColumnRule(
                "strides", strides.list.len() == shape.list.len(), "not as many as dimensions"
            ),
            ColumnRule("shape", _product(sizes) <= LARGEST, "more elements than 64 bits count"),
        ],
        [ColumnRule("shape", empty | fits, "reaches beyond its storage")],
    ]


def _gemm_rules() -> list[list[ColumnRule]]:
    sizes = ("batch", "m", "n", "k")
    macs = pl.lit(1.0)
    for name in sizes:
        macs = macs * pl.col(name).cast(pl.Float64)
    return [
        [
            present("role"),
            *(at_least(name, 0) for name in sizes),
            *(
                ColumnRule(
                    name,
                    pl.col(name).is_between(-1, pl.col(side).cast(pl.Int64) - 1),
                    f"none of the op's {side}, and not -1",
                )
                for name, side in _OPERANDS.items()
            ),
        ],
        [ColumnRule("k", macs <= LARGEST, "batch x m x n x k is more than 64 bits count")],
    ]


def _conv_rules() -> list[ColumnRule]:
    least = {"images": 0, "in_channels": 1, "out_channels": 1, "groups": 1}
    smallest = {"input": 0, "output": 0, "kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
    return [
        *(_inside(at_least(name, bound)) for name, bound in least.items()),
        *(_inside(_sizes(name, bound)) for name, bound in smallest.items()),
        _inside(present("transposed")),
    ]


def _inside(rule: ColumnRule) -> ColumnRule:
    return rule._replace(field=f"conv.{rule.field}")


def _sizes(name: str, least: int) -> ColumnRule:
    column = pl.col(name)
    whole = (column.list.len() == 0) | (column.list.min() >= least)
    complete = column.list.drop_nulls().list.len() == column.list.len()
    return ColumnRule(name, whole & complete, f"not whole numbers from {least} on")


def _product(sizes: pl.Expr) -> pl.Expr:
    """Return the product of each list, as a float, which cannot overflow."""
    return sizes.list.eval(pl.element().cast(pl.Float64).product()).list.first()
