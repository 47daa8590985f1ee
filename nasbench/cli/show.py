"""``nasbench show``: draw an architecture, or write a run's pictures and report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    what: Annotated[str, typer.Argument(help="A run's folder, or an architecture in its space's notation.")],
    space: Annotated[str | None, typer.Option("--space", help="The architecture's space (default darts).")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Picture to write, .svg or .png.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the space.")] = None,
) -> None:
    """Draw an architecture as SVG or PNG. For a run: its architecture and, without --out, its report again."""
    from nasbench.core.errors import BadInput
    from nasbench.experiments.drawing import draw

    folder = Path(what)
    if folder.is_dir() and (space or set_):
        raise BadInput("a run knows its own space; leave out --space and --set.")
    for file in draw(what, space, tuple(set_ or ()), out):
        typer.echo(str(file))
