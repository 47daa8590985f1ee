"""Scores looked up in a benchmark table: what others trained, at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables.nasbench201 import CLASSES, Table, load_latency


class TableEvaluator:
    """Looks a NAS-Bench-201 cell up: validation accuracy after 12 epochs, parameters, and latencies asked for.

    It holds no test score. An isomorph is never answered for: each encoding has its own row and its own noise.
    """

    source: Source = "table"
    version = 0

    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)
        # Devices whose measured latency becomes the metric latency_ms@DEVICE, separated by commas.
        latency: str = ""

    def __init__(self, space: NasBench201, table: Table, config: Config, data_dir: Path | None = None) -> None:
        self._table = table
        self._metrics: list[dict[str, float] | None] = [None] * len(table.row)
        self._space = space
        devices = [device.strip() for device in config.latency.split(",") if device.strip()]
        self._latency = {f"latency_ms@{device}": load_latency(device, data_dir) for device in devices}
        self.fingerprint = f"nasbench201-{table.fingerprint}"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if proposal.fidelity:
            raise BadInput("this table holds validation accuracy at one fidelity (12 epochs); ask for none.")
        row = self._table.row.get(proposal.architecture.spec)
        if row is None:
            raise BadInput(f"the table has no cell {proposal.architecture.spec}.")
        metrics = self._metrics[row]
        if metrics is None:
            metrics = self._metrics[row] = self._look_up(proposal, row)
        return Evaluation(id, proposal, metrics, "table", seed)

    def evaluate_many(
        self, proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
    ) -> list[Evaluation]:
        return [self.evaluate(p, id=i, seed=s) for p, i, s in zip(proposals, ids, seeds, strict=True)]

    def _look_up(self, proposal: Proposal, row: int) -> dict[str, float]:
        architecture = proposal.architecture
        metrics = {
            "valid_accuracy": float(self._table.valid_accuracy[row]),
            "parameters": float(self._space.parameters(architecture, classes=CLASSES[self._table.dataset])),
        }
        for name, values in self._latency.items():
            metrics[name] = values[architecture.spec]
        return metrics
