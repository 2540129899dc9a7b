"""How much of a step a page draws one by one."""

MOST_TASKS = 20_000
"""Tasks: of more, short neighbours become one."""
MOST_LEVELS = 5_000
"""Rows of a lane: of more, equal intervals have their means."""
MERGED_WITHIN = 2000
"""A gap that is this part of the step cannot be seen, and ends no block of short tasks."""
MOST_LAYERS = 500
"""Layers: of more, those that take least energy become one."""

MOST_LANES = 24
"""Lanes of a scenario: devices and links beyond them have rows in its tables alone."""

MOST_MARKS = 600
"""Marks of a lane of a scenario: closer jobs cannot be told apart and become one."""
