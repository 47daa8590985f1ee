"""The errors a user can meet. Each message says what was got, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasbenchError(Exception):
    """Base of all errors raised on purpose; the command line prints its message without a traceback."""


class BadInput(NasbenchError, ValueError):
    """Something the user gave is wrong: a name, a value, a file, a folder. Exit code 2."""


class MissingData(BadInput):
    """A benchmark table or data set is not on this machine; the message names its origin and how to import it."""


class MissingAbility(BadInput):
    """A strategy needs an ability that the search space or the evaluator lacks."""


class RunLocked(BadInput):
    """Another process is writing to this run directory."""


class Diverged(NasbenchError):
    """A candidate's training produced a loss that is not finite. Recorded as a failed evaluation."""


class NotTrained(Diverged):
    """A candidate that the authors of a benchmark left out. Recorded as a failed evaluation."""


class TooLarge(Diverged):
    """A candidate's network takes more memory than the recipe allows. Recorded as a failed evaluation."""


class SearchFailed(NasbenchError):
    """Work that had begun could not be finished (no candidate succeeded, disk full). Exit code 1."""


def failure_reason(error: Exception) -> str:
    """Return in one line why a candidate failed; raise the error again if it is not the candidate's fault."""
    if isinstance(error, NasbenchError):
        if not isinstance(error, Diverged):
            raise error
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return text.splitlines()[0]


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest allowed name, or an empty string."""
    spelling = {a.lower(): a for a in allowed}
    matches = difflib.get_close_matches(name.lower(), spelling, n=1, cutoff=0.5)
    return f" Did you mean '{spelling[matches[0]]}'?" if matches else ""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> BadInput:
    """Build the error for a name that is not among the allowed ones."""
    names = sorted(allowed)
    return BadInput(f"unknown {kind} '{name}'.{nearest(name, names)} Allowed: {', '.join(names) or 'none'}.")
