"""The command line; whatever goes wrong becomes one sentence on stderr and an exit code."""

import sys
from typing import Any

import typer

from simulator.cli.verbs import app
from simulator.errors import Infeasible, InputError

# typer brings click along under a name that differs between its versions.
UsageError: Any = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except (InputError, Infeasible) as error:
        _fail(str(error))
    except UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        _fail(error.format_message() + where)
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code or 0)


def _fail(sentence: str, code: int = 2) -> None:
    print(f"trainsoc: {sentence}", file=sys.stderr)
    sys.exit(code)
