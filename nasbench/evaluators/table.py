"""Scores looked up in a benchmark table: what others trained, at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.search_space import SearchSpace
from nasbench.tables.table import Benchmark, Spec, Table

LATENCY = "latency_ms@"


@runtime_checkable
class _CountsParameters(Protocol):
    def parameters(self, architecture: Architecture, classes: int = ...) -> int: ...


@runtime_checkable
class _CountsMacs(Protocol):
    def macs(self, architecture: Architecture, classes: int = ...) -> int: ...


class TableEvaluator:
    """Looks an architecture up: validation accuracy, latencies asked for, and what its space counts.

    The metrics: ``valid_accuracy``, ``parameters``, ``macs`` (multiply-adds) where the space can count them, and
    ``latency_ms@DEVICE``. It holds no test score. In a table an isomorph is never answered for: each encoding has its
    own row and its own noise. Of a `Surrogate` the source of each evaluation says whether it was measured.
    """

    source: Source = "table"
    sources: ClassVar[tuple[Source, ...]] = ("table", "predicted")
    version = 0
    # What some benchmark has; that of this run may have less.
    measures: ClassVar[tuple[str, ...]] = (
        *("valid_accuracy", "parameters", "macs", "latency_ms@DEVICE", "prediction_std", "extrapolated"),
    )

    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)
        # Devices whose measured latency becomes the metric latency_ms@DEVICE, separated by commas.
        latency: str = ""

        def devices(self) -> list[str]:
            return [device.strip() for device in self.latency.split(",") if device.strip()]

        def measuring(self, metrics: Sequence[str]) -> TableEvaluator.Config:
            """Return these settings with the devices whose latency is among the metrics."""
            named = [metric.removeprefix(LATENCY) for metric in metrics if metric.startswith(LATENCY)]
            more = [device for device in dict.fromkeys(named) if device not in self.devices()]
            return self.model_copy(update={"latency": ",".join([*self.devices(), *more])}) if more else self

    def __init__(self, space: SearchSpace, table: Benchmark, config: Config, data_dir: Path | None = None) -> None:
        self._table = table
        self.source = "table" if isinstance(table, Table) else "predicted"
        self._scores: dict[Spec, tuple[dict[str, float], Source]] = {}
        self._space = space
        devices = config.devices()
        if devices and table.latencies is None:
            raise BadInput(f"there are no measured latencies for the space '{table.space}'; leave out latency.")
        measured = table.latencies
        self._latency = {} if measured is None else {f"{LATENCY}{d}": measured(d, data_dir) for d in devices}
        self.fingerprint = f"{table.space}-{table.fingerprint}"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if proposal.fidelity:
            raise BadInput(
                f"this table holds validation accuracy at one fidelity ({self._table.fidelity}); ask for none."
            )
        spec = proposal.architecture.spec
        known = self._scores.get(spec)
        if known is None:
            known = self._scores[spec] = self._look_up(proposal.architecture)
        metrics, source = known
        return Evaluation(id, proposal, metrics, source, seed)

    def evaluate_many(
        self, proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
    ) -> list[Evaluation]:
        return [self.evaluate(p, id=i, seed=s) for p, i, s in zip(proposals, ids, seeds, strict=True)]

    def _look_up(self, architecture: Architecture) -> tuple[dict[str, float], Source]:
        score = self._table.score(architecture)
        metrics = {"valid_accuracy": score.valid_accuracy, **score.further}
        if isinstance(self._space, _CountsParameters):
            metrics["parameters"] = float(self._space.parameters(architecture, classes=self._table.classes))
        if isinstance(self._space, _CountsMacs):
            metrics["macs"] = float(self._space.macs(architecture, classes=self._table.classes))
        for name, values in self._latency.items():
            metrics[name] = values[architecture.spec]
        return metrics, score.source
