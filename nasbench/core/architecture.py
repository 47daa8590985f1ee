"""An architecture as a value: which space, which decisions. No weights, no module."""

from __future__ import annotations

from typing import Any, NamedTuple

from nasbench.core.errors import BadInput

Value = str | int | float | bool | tuple[Any, ...] | None


class Architecture(NamedTuple):
    """A point of a search space.

    ``space`` is the name of the space, ``spec`` a tuple of JSON values (nested tuples allowed) whose meaning the space
    defines. Hashable, and written to JSON without loss. A named tuple because a search hashes millions of them.
    """

    space: str
    spec: tuple[Value, ...]

    def to_json(self) -> list[Any]:
        """Return ``[space, spec]`` ready for ``json.dumps``."""
        return [self.space, self.spec]

    @classmethod
    def from_json(cls, data: Any) -> Architecture:
        """Rebuild an architecture from ``to_json``; raise BadInput if the data has another shape."""
        if not (isinstance(data, (list, tuple)) and len(data) == 2 and isinstance(data[0], str)):
            raise BadInput(f"not an architecture: {data!r}; expected [space, [decisions...]].")
        return cls(data[0], freeze(data[1]))


def freeze(value: Any) -> Any:
    """Turn lists into tuples, at every depth: what JSON returns becomes hashable again."""
    if isinstance(value, (list, tuple)):
        return tuple([v if type(v) is str else freeze(v) for v in value])
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise BadInput(f"an architecture holds strings, numbers, booleans and lists of them, not {type(value).__name__}.")
