"""Scores looked up in a benchmark table: what others trained, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import ConfigDict

from nasbench.core.architecture import Architecture
from nasbench.core.configuration import Amended
from nasbench.core.errors import BadInput, NotTrained
from nasbench.core.evaluation import Evaluation, Fidelity, Proposal, Source
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
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
    own row and its own noise. Where a table has scores at several numbers of epochs, a proposal may ask for one of
    them. Of a `Surrogate` the source of each evaluation says whether it was measured.

    With ``shuffle`` the accuracies are dealt anew to the rows, by ``rng``: a control. Whatever a search finds then is a
    random architecture, unless it knows more than the scores; the source of its evaluations is ``shuffled``.
    """

    source: Source = "table"
    sources: ClassVar[tuple[Source, ...]] = ("table", "predicted", "shuffled")
    version = 0
    # What some benchmark has; that of this run may have less.
    measures: ClassVar[tuple[str, ...]] = (
        *("valid_accuracy", "parameters", "macs", "latency_ms@DEVICE", "prediction_std", "extrapolated"),
    )

    class Config(Amended):
        model_config = ConfigDict(extra="forbid", frozen=True)
        later: ClassVar[tuple[str, ...]] = ("shuffle",)
        # Devices whose measured latency becomes the metric latency_ms@DEVICE, separated by commas.
        latency: str = ""
        # Deal the accuracies anew to the architectures, another way with every seed of a run.
        shuffle: bool = False

        def devices(self) -> list[str]:
            return [device.strip() for device in self.latency.split(",") if device.strip()]

        def measuring(self, metrics: Sequence[str]) -> TableEvaluator.Config:
            """Return these settings with the devices whose latency is among the metrics."""
            named = [metric.removeprefix(LATENCY) for metric in metrics if metric.startswith(LATENCY)]
            more = [device for device in dict.fromkeys(named) if device not in self.devices()]
            return self.model_copy(update={"latency": ",".join([*self.devices(), *more])}) if more else self

    def __init__(
        self,
        space: SearchSpace,
        table: Benchmark,
        config: Config,
        data_dir: Path | None = None,
        rng: Rng | None = None,
    ) -> None:
        self.fingerprint = f"{table.space}-{table.fingerprint}"
        self.source = "table" if isinstance(table, Table) else "predicted"
        if config.shuffle:
            assert rng is not None, "shuffling needs a generator"
            table, self.source = _shuffled(table, rng), "shuffled"
            self.fingerprint += "-shuffled"
        self._table = table
        self._scores: dict[tuple[Spec, Fidelity], tuple[dict[str, float], Source]] = {}
        self._at_epochs: dict[float, Table] = {}
        devices = config.devices()
        if devices and table.latencies is None:
            raise BadInput(f"there are no measured latencies for the space '{table.space}'; leave out latency.")
        measured = table.latencies
        self._latency = {} if measured is None else {f"{LATENCY}{d}": measured(d, data_dir) for d in devices}
        # Asked once: what a protocol says of a space takes longer than all the rest of a look-up.
        self._counts: dict[str, Callable[..., int]] = {}
        if isinstance(space, _CountsParameters):
            self._counts["parameters"] = space.parameters
        if isinstance(space, _CountsMacs):
            self._counts["macs"] = space.macs

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        key = (proposal.architecture.spec, proposal.fidelity)
        known = self._scores.get(key)
        if known is None:
            try:
                known = self._scores[key] = self._look_up(proposal)
            except NotTrained as error:
                return Evaluation(id, proposal, {}, self.source, seed, "failed", str(error))
        metrics, source = known
        return Evaluation(id, proposal, metrics, source, seed)

    def evaluate_many(
        self, proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
    ) -> list[Evaluation]:
        return [self.evaluate(p, id=i, seed=s) for p, i, s in zip(proposals, ids, seeds, strict=True)]

    def _look_up(self, proposal: Proposal) -> tuple[dict[str, float], Source]:
        architecture = proposal.architecture
        score = self._at(dict(proposal.fidelity)).score(architecture)
        metrics = {"valid_accuracy": score.valid_accuracy, **score.further}
        for name, count in self._counts.items():
            metrics[name] = float(count(architecture, classes=self._table.classes))
        for name, values in self._latency.items():
            metrics[name] = values[architecture.spec]
        return metrics, "shuffled" if self.source == "shuffled" else score.source

    def _at(self, fidelity: dict[str, float]) -> Benchmark:
        """Return the table of the scores at this fidelity; raise BadInput if there are none."""
        table = self._table
        if not fidelity:
            return table
        if not isinstance(table, Table) or not fidelity.keys() <= set(table.fidelities):
            raise BadInput(f"this table holds validation accuracy at one fidelity ({table.fidelity}); ask for none.")
        last = table.epochs[-1]
        epochs, schedule = fidelity.get("epochs", last), fidelity.get("schedule_epochs", last)
        if schedule != last:
            raise BadInput(f"this table holds trainings scheduled for {last} epochs, and not for {schedule:g}.")
        if epochs not in self._at_epochs:
            self._at_epochs[epochs] = table.after(epochs)
        return self._at_epochs[epochs]


def _shuffled(table: Benchmark, rng: Rng) -> Table:
    """Return a table whose rows have exchanged their validation accuracies, and nothing else."""
    if not isinstance(table, Table):
        raise BadInput(
            "only a table in which every architecture was measured can be shuffled, and that of "
            f"'{table.space}' is not one; leave out shuffle."
        )
    order = rng.permutation(len(table.valid_accuracy))
    curves = None if table.curves is None else table.curves[:, order]
    return replace(table, valid_accuracy=table.valid_accuracy[order], curves=curves)
