"""The command ``nasbench``: one file a command, errors in one line, exit codes 0, 1, 2 and 130."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from nasbench import __version__
from nasbench.cli import baseline, data, evaluate, leaderboard, list_names, search, show, sweep
from nasbench.core.errors import BadInput, NasbenchError

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Neural architecture search with an honest verdict on whether searching helped.",
)
app.command("search")(search.search)
app.command("evaluate")(evaluate.evaluate)
app.command("baseline")(baseline.baseline)
app.command("sweep")(sweep.sweep)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("show")(show.show)
app.command("list")(list_names.list_names)
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nasbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the job failed, 2 bad input, 130 interrupted (state saved)."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except BadInput as error:
        return _failure(str(error), 2)
    except NasbenchError as error:
        return _failure(str(error), 1)
    except TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        if type(error).__name__.startswith("NoArgs"):  # the message is the help, to be shown as it is
            print(message, file=sys.stderr)
            return 2
        return _failure(message, 2) if message else 2
    except (KeyboardInterrupt, typer.Abort):
        return _failure("interrupted; the same command goes on where it stopped", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone: nothing is wrong, but Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _failure(f"{error.strerror or error}{where}", 2 if isinstance(error, PermissionError) else 1)


def _failure(message: str, code: int) -> int:
    print(f"nasbench: {' '.join(message.split())}", file=sys.stderr)
    return code
