"""How a long piece of work tells what it is doing. The command line draws it; by default nobody listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Step = Callable[[float, str], None]


class Reporter:
    """Hears of notes and phases. A phase gets ``(how much is done, a few words)`` as often as something happens."""

    def note(self, text: str) -> None:
        """Hear one line of text."""

    def show(self, text: str) -> None:
        """Hear several lines on how the present phase stands; they take the place of those before."""

    def phase(self, title: str, total: float | None) -> AbstractContextManager[Step]:
        """Hear that a phase of ``total`` steps begins; the context's value is called with the progress."""
        return nullcontext(lambda done, words: None)
