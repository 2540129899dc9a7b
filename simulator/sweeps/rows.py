"""Rows of a table as views of its columns: a sweep has many of both, and readers ask for few."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simulator.views.design_space import Cell, PointRow

if TYPE_CHECKING:
    import polars


def rows_of(table: "polars.DataFrame") -> list[PointRow]:
    """Return the rows of `table`; a column becomes values of Python when one is asked for it."""
    columns = _ColumnLists(table)
    return [_RowView(columns, index) for index in range(table.height)]


class _ColumnLists(dict[str, list[Any]]):
    """The columns of a table that were asked for."""

    def __init__(self, table: "polars.DataFrame") -> None:
        super().__init__()
        self.table, self.names = table, frozenset(table.columns)

    def __missing__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise KeyError(name)
        self[name] = values = self.table[name].to_list()
        return values


class _RowView(Mapping[str, Cell]):
    """One row of a table."""

    __slots__ = ("_columns", "_index")

    def __init__(self, columns: _ColumnLists, index: int) -> None:
        self._columns, self._index = columns, index

    def __getitem__(self, name: str) -> Cell:
        cell: Cell = self._columns[name][self._index]
        return cell

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a column, `default` where there is none. Figures call it often."""
        columns = self._columns
        return columns[name][self._index] if name in columns.names else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.table.columns)

    def __len__(self) -> int:
        return len(self._columns.names)
