"""Many points of a design space on one trace: grids, processes, a table, the best of it."""
