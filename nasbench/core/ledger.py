"""The record of a search: one JSON line an evaluation or learning unit, appended and flushed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Learned, Proposal

if TYPE_CHECKING:
    import pandas as pd

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Ledger:
    """Everything that happened in a run, in order, in memory and (with a path) on disk.

    Opening an existing file reads it back; a torn last line, left by a kill in the middle of a write, is cut off.
    Raises BadInput on a line that is not a record.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.evaluations: list[Evaluation] = []
        self.units: list[Learned] = []
        self._by_key: dict[tuple[Proposal, int], Evaluation] = {}
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                self._read(path)
            except BaseException:
                self.close()
                raise

    def append(self, record: Evaluation | Learned) -> None:
        """Write one record to the file, whole or not at all as far as the disk allows, then to memory."""
        if self._descriptor is not None:
            line = (_encode(record.to_record()) + "\n").encode()
            written = os.write(self._descriptor, line)
            if written != len(line):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise OSError(28, "no space left on the device that holds the ledger")
        self._remember(record)

    def same(self, proposal: Proposal, version: int) -> Evaluation | None:
        """Return an earlier successful evaluation of the same encoding, fidelity, repeat and weights version."""
        return self._by_key.get((proposal, version))

    def sync(self) -> None:
        """Bring what was written to the disk itself, so that no checkpoint is ahead of the ledger after a power cut."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    @property
    def seconds(self) -> float:
        """The time that evaluators and learners worked, over all sessions."""
        return sum(e.seconds for e in self.evaluations) + sum(unit.seconds for unit in self.units)

    def frame(self) -> pd.DataFrame:
        """Return the evaluations as a table: one row each, the metrics as columns."""
        import pandas as pd

        rows = []
        for evaluation in self.evaluations:
            row = evaluation.to_record()
            row.update(row.pop("metrics"))
            rows.append(row)
        return pd.DataFrame(rows)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __len__(self) -> int:
        return len(self.evaluations)

    def _remember(self, record: Evaluation | Learned) -> None:
        if isinstance(record, Learned):
            self.units.append(record)
            return
        self.evaluations.append(record)
        if record.status == "ok" and record.reuses is None:
            self._by_key.setdefault((record.proposal, record.weights), record)

    def _read(self, path: Path) -> None:
        assert self._descriptor is not None
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._descriptor, whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                record = json.loads(line)
                item = Evaluation.from_record(record) if "id" in record else Learned.from_record(record)
                expected = len(self.evaluations) if isinstance(item, Evaluation) else len(self.units)
                if (item.id if isinstance(item, Evaluation) else item.unit) != expected:
                    raise ValueError("records are out of order")
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}, line {number}: not a record of a search ({error}).") from error
            self._remember(item)
