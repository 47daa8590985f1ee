"""What a space, a strategy or an evaluator can do beyond its contract: small protocols, asked for by ``isinstance``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.progress import Progress
from nasbench.core.seeding import Rng


# -- of search spaces ------------------------------------------------------------------------------------------------
@runtime_checkable
class Crossing(Protocol):
    """Two architectures can be mixed."""

    def crossover(self, a: Architecture, b: Architecture, rng: Rng) -> Architecture: ...


@runtime_checkable
class Local(Protocol):
    """The architectures one decision away can be listed."""

    def neighbors(self, architecture: Architecture) -> list[Architecture]: ...


@runtime_checkable
class Relaxable(Protocol):
    """The space has a continuous relaxation: a network in which every operation has a weight.

    `relax` returns that supernet, a torch module with ``operations`` (the columns of the coefficients),
    ``architecture_shape()`` (kind of cell to (edges, operations)), ``edge_labels()`` (kind to the names of its rows)
    and ``forward(images, coefficients)``, where coefficients map each kind to a tensor [edges, operations].
    `discretize` reads an architecture off such weights as numpy arrays. `one_hot` is its inverse: float32 arrays with
    1 for the operations of the architecture and 0 for all else.
    """

    def relax(self, task: SearchTask, size: Any = None) -> Any: ...

    def discretize(self, weights: Mapping[str, Any]) -> Architecture: ...

    def one_hot(self, architecture: Architecture) -> dict[str, Any]: ...


@runtime_checkable
class WeightSharing(Protocol):
    """The space has one network that holds the weights of every architecture, which is an argument of its forward."""

    def supernet(self, task: SearchTask, size: Any = None) -> Any: ...


@runtime_checkable
class Transformable(Protocol):
    """A trained network can be turned into a larger one that computes the same function, to 1e-5."""

    def transformations(self, architecture: Architecture) -> list[Architecture]: ...

    def morph(self, module: Any, a: Architecture, b: Architecture) -> Any: ...


# -- of evaluators ---------------------------------------------------------------------------------------------------
@runtime_checkable
class Batching(Protocol):
    """Many candidates at once give the same evaluations as one by one, faster."""

    def evaluate_many(
        self, proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
    ) -> list[Evaluation]: ...


@runtime_checkable
class Absorbing(Protocol):
    """State that grows by evaluating (a bank of weights).

    The loop calls `absorb` after ``tell``, in the order asked, also for evaluations found in the ledger. Only here
    does the evaluator's version rise; within a batch every candidate sees the state from before the batch.
    """

    def absorb(self, evaluations: Sequence[Evaluation]) -> None: ...


@runtime_checkable
class Storing(Protocol):
    """The evaluator keeps weights in the run's folder, from which candidates of the next batch may go on.

    `store_in` is called before the first evaluation; without it nothing is kept. After every batch the loop calls
    `forget` with the batch's first id: what older evaluations left is not needed any more.
    """

    def store_in(self, folder: Path) -> None: ...

    def forget(self, before: int) -> None: ...


# -- of strategies and evaluators ------------------------------------------------------------------------------------
@runtime_checkable
class Learner(Protocol):
    """Long work in short units (an epoch at most) that the loop times, charges, shows and checkpoints after."""

    def due(self, progress: Progress) -> bool: ...

    def learn(self, sample: Callable[[Rng], Architecture]) -> dict[str, float]: ...


@runtime_checkable
class Stateful(Protocol):
    """State as plain data and arrays: numbers, strings, lists, dicts with string keys, numpy arrays, torch tensors."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Timed(Protocol):
    """The seconds of one learning unit can be estimated from a small part of one, after which no search may follow."""

    def seconds_of_a_unit(self) -> float: ...


@runtime_checkable
class Relaxing(Protocol):
    """The strategy searches by weights of operations, which can be watched.

    `relaxation` returns plain data: the names of the ``operations``, those of the ``edges`` of each kind of cell, and
    the ``weights`` of each kind, [epochs, edges, operations].
    """

    def relaxation(self) -> dict[str, Any]: ...


@runtime_checkable
class Predicting(Protocol):
    """The strategy is guided by a predictor, whose skill can be told.

    `predictor_skill` returns plain data: the predictor's ``name``, how many ``architectures`` it was tried on, and the
    rank correlations ``kendall`` and ``spearman`` of what it expected and what was measured; None if there are too few.
    """

    def predictor_skill(self) -> dict[str, Any] | None: ...


ABILITIES: dict[str, type] = {
    protocol.__name__: protocol
    for protocol in (Crossing, Local, Relaxable, WeightSharing, Transformable, Batching, Absorbing, Learner, Stateful)
}
