"""Conditions over settings and results, such as "rows * cols <= 1024 and area < 4 mm2".

They are SQL expressions, which polars parses and computes; nothing in them is ever executed.
Names may be shortened to their last parts, and numbers may have units.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from simulator.errors import InputError, shown
from simulator.results.metrics import (
    ACCURACY,
    METRICS,
    OF_GOVERNOR,
    OF_HEAT,
    OF_MACHINE,
    OF_NETWORK,
    column_of,
)
from simulator.si import digits
from simulator.units import (
    BANDWIDTH,
    CYCLES,
    DURATION,
    ENERGY,
    FREQUENCY,
    LENGTH,
    POWER,
    RATIO,
    SIZE,
    TEMPERATURE,
    VOLTAGE,
)
from simulator.views.design_space import knob_quantity

if TYPE_CHECKING:
    import polars

# How many of a quantity's inner units are one of what conditions compute in.
_INNER = {
    SIZE: 1, FREQUENCY: 1, BANDWIDTH: 1, CYCLES: 1, DURATION: 10**12, ENERGY: 10**18,
    POWER: 10**6, VOLTAGE: 10**3, LENGTH: 10**9, RATIO: 10**3, TEMPERATURE: 10**3,
}  # fmt: skip
_UNITS = {
    unit: factor / inner
    for quantity, inner in _INNER.items()
    for unit, factor in quantity.units.items()
} | {"mm2": Decimal(1)}
_RESULTS = (*METRICS, *OF_MACHINE, *OF_NETWORK, *OF_GOVERNOR, *OF_HEAT)
_ENDINGS = tuple(dict.fromkeys(each.suffix for each in _RESULTS if each.suffix))
_ALIASES = {each.alias: each.key for each in _RESULTS if each.alias}
_WORDS = {"and", "or", "not", "in", "between", "is", "null", "true", "false", "like"}
_FUNCTIONS = {"abs", "least", "greatest", "log2", "log10", "sqrt", "power", "floor", "ceil"}
_COMPARISONS = {"<", "<=", ">", ">=", "=", "==", "!=", "<>"}
_TOKEN = re.compile(
    r"""\s*(?: (?P<text>'(?:[^']|'')*'|"[^"]*")
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_][\w.]*)
    | (?P<sign><=|>=|==|!=|<>|[-+*/%()<>=,]) )""",
    re.VERBOSE,
)
_UNIT = re.compile(r"\s*([A-Za-z%]+(?:/s)?2?)(?![\w.(])")
_MOST_WORDS = 200  # polars' parser is recursive, and ends the process where its stack does
_LARGEST = 30  # digits of a number
_MIXED = "numbers, texts and truth values do not go together in it"
_INCOMPLETE = "it is no complete comparison"
_PROBLEMS = {
    "SQLInterfaceError": _INCOMPLETE,
    "SQLSyntaxError": _INCOMPLETE,
    "ColumnNotFoundError": _INCOMPLETE,
}
_EXAMPLE = "rows * cols <= 1024 and latency < 20 ms"


class _Lexeme(NamedTuple):
    """A word of a condition; a "quantity" is a number in plain units, which had a `unit`."""

    kind: str
    word: str
    unit: str = ""


@dataclass(frozen=True)
class Condition:
    """A condition, the columns that it reads, and the SQL that computes it from them."""

    text: str
    names: frozenset[str]
    sql: str

    def holds(self, table: "polars.DataFrame") -> "polars.Series":
        """Return for every row of `table` whether it meets the condition.

        Where a value is missing it does not. Raises InputError when this cannot be computed.
        """
        import polars as pl  # noqa: PLC0415 - importing polars costs 0.1 s

        # numpy divides; polars multiplies by the inverse, and 5 us are no longer 5 us. All are
        # floats then, as products of integers would wrap beyond 64 bits.
        scaled = [
            pl.Series(name, table[name].to_numpy() / inner_units(name), nan_to_null=True)
            for name in sorted(self.names)
            if table.schema[name].is_numeric()
        ]
        try:
            expression = pl.sql_expr(self.sql).alias("holds")
            values = table.with_columns(scaled).select(expression).to_series()
        except pl.exceptions.PolarsError as error:
            raise _unreadable(self.text, _PROBLEMS.get(type(error).__name__, _MIXED)) from None
        if values.dtype == pl.Null:
            return pl.Series([False] * table.height, dtype=pl.Boolean)
        if values.dtype != pl.Boolean:
            raise _unreadable(self.text, "it is a value and compares nothing")
        whole = values if len(values) == table.height else values.new_from_index(0, table.height)
        return whole.fill_null(value=False)


def condition(text: str, columns: Iterable[str], others: Iterable[str] = ()) -> Condition:
    """Return the condition in `text` over tables with these `columns`.

    Names shortened are looked for among the `others` only where no column ends so. Raises
    InputError naming what cannot be read, or the column that is probably meant.
    """
    groups, used, words = (tuple(columns), tuple(others)), set(), []
    tokens = list(_tokens(text))
    _check_units(text, tokens, groups)
    for kind, word, _ in tokens:
        if kind == "name" and word.lower() not in _WORDS:
            column = _column(text, word, groups)
            used.add(column)
            words.append(f'"{column}"')
        else:
            words.append(word)
        if len(words) > _MOST_WORDS:
            raise _unreadable(text, f"more than {_MOST_WORDS} words: give several conditions")
    if not words:
        raise _unreadable(text, "it is empty")
    _check_chains(text, words)
    return Condition(text.strip(), frozenset(used), " ".join(words))


def words_of(text: str) -> frozenset[str]:
    """Return the names in a condition as they are written, whatever columns they stand for."""
    return frozenset(token.word for token in _tokens(text) if token.kind == "name")


def _tokens(text: str) -> Iterator[_Lexeme]:
    """Yield the kind and the SQL of each word."""
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _unreadable(text, f"{shown(text[position:].strip()[:12])} means nothing here")
        position, kind, word = match.end(), match.lastgroup, match[match.lastgroup]
        if kind == "number" and Decimal(word).adjusted() > _LARGEST:
            raise _unreadable(text, f"{shown(word)} is too large a number")
        match = _UNIT.match(text, position) if kind == "number" else None
        unit = match[1] if match and match[1].lower() not in _WORDS else ""
        if match and unit:
            position, kind = match.end(), "quantity"
            word = _number(Decimal(word) * _factor(text, unit))
        elif kind == "number":
            word = _number(Decimal(word))
        if word.lower() in _FUNCTIONS and text[position:].lstrip().startswith("("):
            kind = "function"  # "power" alone is a result
        if kind == "text":
            inner = word[1:-1].replace("''", "'") if word[0] == "'" else word[1:-1]
            word = "'" + inner.replace("'", "''") + "'"
        yield _Lexeme(kind, word, unit)


def _check_units(text: str, tokens: Sequence[_Lexeme], groups: Sequence[Sequence[str]]) -> None:
    """Raise InputError for `latency < 20`, which leaves open 20 of what, and for `latency < 2 J`.

    A name that ends in its unit, such as latency_s, says so itself; nothing is 0 of any unit.
    """
    edge = _Lexeme("sign", "and")
    framed = [edge, *tokens, edge]
    for number in range(1, len(framed) - 3):
        before, left, sign, right, after = framed[number - 1 : number + 4]
        if sign.word not in _COMPARISONS or not (_ends(before) and _ends(after)):
            continue
        for name, value in ((left, right), (right, left)):
            if name.kind != "name" or value.kind not in ("number", "quantity"):
                continue
            column = _column(text, name.word, groups)
            if value.kind == "quantity":
                _check_dimension(text, name.word, value.unit, column)
            elif Decimal(value.word):
                _check_unit(text, name.word, value.word, column)


def _ends(token: _Lexeme) -> bool:
    """Whether a comparison may begin after this word, or end before it."""
    return token.word.lower() in ("and", "or", "not", "(", ")")


def _check_unit(text: str, name: str, value: str, column: str) -> None:
    unit = _unit_of(column)
    if unit and name != column:
        raise _unreadable(text, f"{value} of what? write a unit, such as {value} {unit}")


def _check_dimension(text: str, name: str, unit: str, column: str) -> None:
    """Raise InputError where `unit` is not one of what a column holds."""
    own = _unit_of(column)
    if own and not _dimensions(own) & _dimensions(unit):
        raise _unreadable(text, f"{name} is in {own}, not in {unit}")
    if not own and not column.startswith("model.") and "ratio" not in _dimensions(unit):
        raise _unreadable(text, f"{name} has no unit; leave out {unit}")


def _dimensions(unit: str) -> set[str]:
    """Return the names of the quantities that have a unit: "kcycles" is of cycles."""
    return {each.name for each in _INNER if unit in each.units} or {unit}


def _unit_of(column: str) -> str:
    """Return a unit for what a column holds; "" for plain numbers, shares and texts."""
    if "." in column:
        quantity = knob_quantity(column)
        return "" if quantity in (None, RATIO) else next(reversed(quantity.example.split()))
    unit = column_of(column).unit
    return unit if unit in _UNITS else ""


def _check_chains(text: str, words: Iterable[str]) -> None:
    """Raise InputError for `8 <= rows <= 32`, which SQL would take for `(8 <= rows) <= 32`."""
    compared = 0
    for word in words:
        compared = 0 if word.lower() in ("and", "or", "not") else compared + (word in _COMPARISONS)
        if compared > 1:
            raise _unreadable(text, "write `8 <= rows and rows <= 32`, or `rows between 8 and 32`")


@dataclass(frozen=True)
class ColumnLimit:
    """A condition that bounds one column: "area <= 2 mm2"."""

    name: str
    sign: str
    number: Decimal
    unit: str

    @property
    def is_upper(self) -> bool:
        """Whether the column may be no larger."""
        return self.sign in ("<", "<=")

    def scaled(self, factor: Decimal) -> "ColumnLimit":
        """Return the limit with so many times its bound; of an accuracy, with that of its error.

        A tenth more than 97 % is no share, and a tenth of 3 % is a price that one may pay.
        """
        if self.name == ACCURACY.key:
            whole = Decimal(100 if self.unit else 1)
            return replace(self, number=whole - (whole - self.number) * factor)
        return replace(self, number=self.number * factor)

    @property
    def bound(self) -> str:
        """The bound as people write it: "2.2 mm2"."""
        return f"{digits(float(self.number))} {self.unit}".rstrip()

    @property
    def text(self) -> str:
        """The limit as a condition."""
        return f"{self.name} {self.sign} {self.number:f} {self.unit}".rstrip()


def limit_of(text: str) -> ColumnLimit | None:
    """Return the limit that a condition is, None if it is more or something else."""
    match = _LIMIT.fullmatch(text.strip())
    return ColumnLimit(match[1], match[2], Decimal(match[3]), match[4] or "") if match else None


_LIMIT = re.compile(r"([A-Za-z_][\w.]*)\s*(<=?|>=?)\s*(\d+\.?\d*)\s*([A-Za-z%]+(?:/s)?2?)?")


def column_for(name: str, columns: Iterable[str]) -> str:
    """Return the column that `name` stands for: "energy" is energy_j, "rows" accelerator.rows.

    Raises InputError naming those that are probably meant.
    """
    return _column(name, name, (tuple(columns),))


def _column(text: str, name: str, groups: Sequence[Sequence[str]]) -> str:
    for columns in groups:
        for exact in (name, _ALIASES.get(name, ""), *(name + ending for ending in _ENDINGS)):
            if exact in columns:
                return exact
        short = [column for column in columns if column.endswith(f".{name}")]
        if len(short) == 1:
            return short[0]
        if short:
            raise _unreadable(text, f"{name} may be {' or '.join(short)}")
    every = [column for columns in groups for column in columns]
    parts = [column.rpartition(".")[2] for column in every]
    close = difflib.get_close_matches(name, [*every, *parts, *_ALIASES], 3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise _unreadable(text, f"no {shown(name, 40)[1:-1]}{hint}")


def inner_units(column: str) -> int:
    """Return how many of a column's units are one of those that conditions compute in."""
    quantity = knob_quantity(column) if "." in column else None
    return _INNER.get(quantity, 1) if quantity else 1


def _factor(text: str, unit: str) -> Decimal:
    factor = _UNITS.get(unit)
    if factor is None:
        close = difflib.get_close_matches(unit, _UNITS, 2, 0.4)
        raise _unreadable(text, f"no unit {unit!r}; did you mean {' or '.join(close or ['ms'])}?")
    return factor


def _number(value: Decimal) -> str:
    """Return a number as SQL that is an integer or a float, never a decimal of few digits."""
    if value == value.to_integral_value():
        return f"{value:f}"
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _unreadable(text: str, why: str) -> InputError:
    return InputError(f"condition {shown(text.strip(), 80)}: {why}; an example: {_EXAMPLE}")


def holding(
    table: "polars.DataFrame", texts: Iterable[str], others: Mapping[str, object] | None = None
) -> "polars.Series":
    """Return for every row of `table` whether it meets all conditions in `texts`.

    `others` are values by name that hold for every row, beside its columns.
    """
    import polars as pl  # noqa: PLC0415

    fixed = {name: value for name, value in (others or {}).items() if name not in table.columns}
    mask = pl.Series("holds", [True] * table.height, dtype=pl.Boolean)
    for text in texts:
        each = condition(text, table.columns, fixed)
        beside = [pl.lit(fixed[name]).alias(name) for name in sorted(each.names & fixed.keys())]
        mask &= each.holds(table.with_columns(beside))
    return mask


def where(table: "polars.DataFrame", texts: Iterable[str]) -> "polars.DataFrame":
    """Return the rows of `table` that meet all conditions in `texts`."""
    return table.filter(holding(table, texts))
