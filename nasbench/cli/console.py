"""What a person sees while something long runs: rich progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from nasbench.experiments.reporter import Reporter, Step

SECONDS_BEFORE_A_BAR = 2.0


class ConsoleReporter(Reporter):
    """Writes to standard error. A phase shorter than two seconds shows no bar; without a terminal there is none."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._shown = Text()

    def note(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    def show(self, text: str) -> None:
        self._shown.plain = text

    @contextmanager
    def phase(self, title: str, total: float | None) -> Iterator[Step]:
        if not self._console.is_terminal:
            yield lambda done, words: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
        )
        started, shown = time.monotonic(), 0.0
        self._shown = Text()
        progress = Progress(*columns, console=self._console)
        with Live(Group(progress, self._shown), console=self._console, transient=True):
            task = progress.add_task(title, total=total, words="", visible=False)

            def step(done: float, words: str) -> None:
                nonlocal shown
                now = time.monotonic()
                if now - shown > 0.1:
                    shown = now
                    visible = now - started > SECONDS_BEFORE_A_BAR
                    progress.update(task, completed=done, words=escape(words), visible=visible)

            yield step


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print names and values in two columns on standard output."""
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    Console(highlight=False).print(table)
