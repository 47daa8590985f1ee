"""The search space of NAS-Bench-Graph: graph neural networks of four nodes, nine operations, 26,206 networks.

Qin et al., "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022 datasets track, arXiv
2206.09166.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture, Value
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.seeding import Rng
from nasbench.search_spaces.nasbench_graph_classes import LINKS, NODES, OPERATIONS, TREES, keys

if TYPE_CHECKING:
    import networkx as nx

    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.nasbench_graph_network import NasBenchGraphNetwork

NOTHING = ("skip",) * NODES
"""The operations of the one network that the benchmark has not: it computes nothing."""


class NasBenchGraphSize(BaseModel):
    """What `NasBenchGraph.build` can vary.

    ``width`` of all nodes, linear layers ``before`` and ``after`` the four nodes (0 or 1 each), attention ``heads`` of
    ``gat``, which share the width, and ``dropout``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=128, ge=2)
    before: int = Field(default=0, ge=0, le=1)
    after: int = Field(default=0, ge=0, le=1)
    heads: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)


@dataclass(frozen=True)
class Published:
    """A data set of the benchmark: features of a node, outputs of a network, and the size of the networks."""

    features: int
    outputs: int
    size: NasBenchGraphSize


PUBLISHED = {
    "cora": Published(1433, 7, NasBenchGraphSize(width=256, after=1)),
    "citeseer": Published(3703, 6, NasBenchGraphSize(width=256, after=1)),
    "pubmed": Published(500, 3, NasBenchGraphSize(width=128)),
    "cs": Published(6805, 15, NasBenchGraphSize(width=128, before=1)),
    "physics": Published(8415, 5, NasBenchGraphSize(width=256, before=1)),
    "photo": Published(745, 8, NasBenchGraphSize(width=128)),
    "computers": Published(767, 10, NasBenchGraphSize(width=64, before=1, after=1)),
    "arxiv": Published(128, 40, NasBenchGraphSize(width=128, after=1)),
    "proteins": Published(8, 112, NasBenchGraphSize(width=256, before=1, after=1)),
}
"""Worked out from the numbers of parameters in the benchmark's table, which `NasBenchGraph.count_parameters` gives for
every network of all data sets but physics; there for 24,639 of 26,206, and the table's means of the others are of
trainings of different networks. Neither heads nor dropout can be told from them: heads are those the benchmark names.
"""


def _decisions(operations: tuple[str, ...]) -> tuple[Choice, ...]:
    links = [Choice(f"link{node}", tuple(range(node)), group="links") for node in range(2, NODES + 1)]
    return (*links, *(Choice(f"op{node}", operations, group="operations") for node in range(1, NODES + 1)))


class NasBenchGraph(DecisionSpace):
    """The networks of NAS-Bench-Graph. Text is the benchmark's five digits, or links and operations.

    A spec holds the sources of nodes 2, 3 and 4 (0 is the input, 1 the first node) and the operations of nodes 1 to 4.
    `sample` draws each of the seven uniformly, as the benchmark's own searches do, but never the 24 encodings of
    nothing but skips. So a network with many encodings (up to 164) is drawn more often than one with few.
    """

    name = "nasbench-graph"
    task_kinds: ClassVar[tuple[str, ...]] = ("node",)
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    decisions = _decisions(OPERATIONS)
    Size: ClassVar[type[BaseModel] | None] = NasBenchGraphSize

    @classmethod
    def all_specs(cls) -> list[tuple[Value, ...]]:
        """Return all encodings with an operation that is no skip, links first, the last operation changing fastest."""
        operations = list(itertools.product(cls.operations, repeat=NODES))[:-1]  # the last is NOTHING
        return [links[1:] + names for links in LINKS for names in operations]

    @classmethod
    def all_keys(cls) -> np.ndarray:
        """Return the benchmark's number of each of `all_specs`."""
        return _key_table(cls.operations)[:, :-1].ravel()

    @classmethod
    def row(cls, spec: tuple[Value, ...]) -> int:
        """Return the place of an encoding in `all_specs`; raise KeyError if it is not there."""
        links, operations = _numbers(cls.operations)
        number = operations[spec[NODES - 1 :]]
        if number == len(operations) - 1:  # NOTHING
            raise KeyError(spec)
        return links[spec[: NODES - 1]] * (len(operations) - 1) + number

    @property
    def size(self) -> int:
        """The number of encodings, those of nothing but skips left out."""
        return super().size - len(LINKS)

    # -- drawing: never nothing but skips ------------------------------------------------------------------------------
    def sample(self, rng: Rng) -> Architecture:
        while _is_nothing(drawn := super().sample(rng)):
            pass
        return drawn

    def sample_many(self, rng: Rng, n: int) -> list[Architecture]:
        drawn: list[Architecture] = []
        while len(drawn) < n:
            drawn += [a for a in super().sample_many(rng, n - len(drawn)) if not _is_nothing(a)]
        return drawn

    def change(self, architecture: Architecture, position: int, rng: Rng) -> Architecture:
        """Give the decision at ``position`` another value, drawn uniformly from those that leave an operation."""
        changed = super().change(architecture, position, rng)
        while _is_nothing(changed) and not _is_nothing(architecture):
            changed = super().change(architecture, position, rng)
        return changed

    def crossover(self, a: Architecture, b: Architecture, rng: Rng) -> Architecture:
        """Take every decision from one of the parents, each with probability one half, until an operation is left."""
        child = super().crossover(a, b, rng)
        while _is_nothing(child) and not _is_nothing(a):
            child = super().crossover(a, b, rng)
        return child

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        return [neighbor for neighbor in super().neighbors(architecture) if not _is_nothing(neighbor)]

    def check(self, architecture: Architecture) -> None:
        super().check(architecture)
        if _is_nothing(architecture):
            raise BadInput(f"four skips compute nothing; '{self.name}' has no such network.")

    # -- sameness ------------------------------------------------------------------------------------------------------
    def key(self, architecture: Architecture) -> int:
        """Return the benchmark's number of the network: five digits, see `nasbench_graph_classes`."""
        links, operations = _numbers(self.operations)
        spec = architecture.spec
        try:
            return int(_key_table(self.operations)[links[spec[: NODES - 1]], operations[spec[NODES - 1 :]]])
        except (KeyError, TypeError):
            super().check(architecture)
            raise

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the encoding that the digits of the benchmark's key stand for.

        Nothing but skips, which the benchmark has not, is a class of its own.
        """
        known = self._representatives.get(architecture.spec)
        if known is None:
            known = self._representatives[architecture.spec] = self._of_key(self.key(architecture))
        return known

    @cached_property
    def _representatives(self) -> dict[tuple[Value, ...], Architecture]:
        """What `canonical` found so far, by spec."""
        return {}

    def _of_key(self, key: int) -> Architecture:
        tree, digits = divmod(key, 10_000)
        return Architecture(self.name, TREES[tree][1:] + _names()[digits])

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the network of the architecture's key, as it is built: a tree whose leaves all lead to the output."""
        import networkx as nx

        sources, operations = self._tree(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for node, op in enumerate(["input", *operations, "output"]):
            graph.add_node(node, op=op)
        graph.add_edges_from((source, node) for node, source in enumerate(sources, start=1))
        graph.add_edges_from((node, NODES + 1) for node in range(1, NODES + 1) if node not in sources)
        return graph

    def _tree(self, architecture: Architecture) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return sources and operations of the four nodes, canonical; raise BadInput for a foreign architecture."""
        self.check(architecture)
        key = self.key(architecture)
        return TREES[key // 10_000], _names()[key % 10_000]

    # -- notation ------------------------------------------------------------------------------------------------------
    def format(self, architecture: Architecture) -> str:
        """Write the benchmark's key, such as ``61237``, of the encoding that its digits stand for.

        Behind the key of another encoding of the same network stands that encoding, link list and operations:
        ``61237 (0121 gcn gin fc cheb)``.
        """
        key = f"{self.key(architecture):05d}"
        if self.canonical(architecture) == architecture:
            return key
        links, operations = architecture.spec[: NODES - 1], architecture.spec[NODES - 1 :]
        return f"{key} (0{''.join(map(str, links))} {' '.join(map(str, operations))})"

    def parse(self, text: str) -> Architecture:
        """Read the text of `format`, or link list and operations alone."""
        found = re.fullmatch(r"([0-8]{5})?\s*(?:\(?(0\d\d\d)((?:[\s,]+\w+){4})\)?)?", text.strip())
        if found is None or not any(found.groups()):
            raise BadInput(
                f"cannot read the network {text[:80]!r}; expected the five digits of NAS-Bench-Graph, such as 61237, "
                "or the sources of the four nodes and their operations, such as '0121 gcn gin fc cheb'."
            )
        key, links, names = found.groups()
        if links is None:
            architecture = self._of_key(int(key))
        else:
            architecture = Architecture(self.name, (*map(int, links[1:]), *names.replace(",", " ").split()))
        self.check(architecture)
        right = f"{self.key(architecture):05d}"
        if key not in (None, right):
            raise BadInput(f"'{key}' is not the key of this network, which is {right}.")
        return architecture

    # -- networks ------------------------------------------------------------------------------------------------------
    def build(
        self, architecture: Architecture, task: SearchTask, size: NasBenchGraphSize | None = None
    ) -> NasBenchGraphNetwork:
        """Return the network for nodes with ``task.input_shape`` = (features,) and ``task.classes`` outputs.

        It takes ``x`` [nodes, features] and ``edge_index`` int64 [2, edges] and returns logits [nodes, classes].
        Without ``size`` it has that of the benchmark's data set of the task's name, else the default. Encodings of one
        key are one network, that of `graph`.

        Raises BadInput if the task is none on nodes of a graph, MissingData without torch-geometric.
        """
        sources, operations = self._tree(architecture)
        if task.kind not in self.task_kinds or len(task.input_shape) != 1:
            raise BadInput(
                f"'{self.name}' builds networks for the nodes of a graph, with a row of features each; '{task.name}' "
                f"is of kind '{task.kind}' and shape {task.input_shape}."
            )
        try:
            from nasbench.search_spaces.nasbench_graph_network import NasBenchGraphNetwork
        except ImportError as error:
            raise MissingData(
                "building graph networks needs torch-geometric: pip install 'nasbench[graph]'."
            ) from error
        return NasBenchGraphNetwork(
            sources, operations, task.input_shape[0], task.classes, size or _size_for(task.name.lower())
        )

    def count_parameters(
        self, architecture: Architecture, features: int, outputs: int, size: NasBenchGraphSize | None = None
    ) -> int:
        """Return the number of weights of the network that `build` returns, without building it."""
        size = size or NasBenchGraphSize()
        sources, operations = self._tree(architecture)
        width, total = size.width, size.before * (features + 1) * size.width
        widths = [width if size.before else features]
        for source, operation in zip(sources, operations, strict=True):
            inputs = widths[source]
            widths.append(inputs if operation == "skip" else width)
            total += _weights(operation, inputs, width) + 2 * width  # and a batch norm, used or not
        leaves = sum(node not in sources for node in range(1, NODES + 1))
        total += (leaves * width + 1) * (width if size.after else outputs)
        return total + size.after * (width + 1) * outputs


class NasBenchGraphProteins(NasBenchGraph):
    """The networks of NAS-Bench-Graph for its data set proteins: five of the nine operations, 2,021 networks."""

    name = "nasbench-graph-proteins"
    operations: ClassVar[tuple[str, ...]] = ("gcn", "sage", "arma", "fc", "skip")
    decisions = _decisions(operations)


@cache
def _key_table(operations: tuple[str, ...]) -> np.ndarray:
    """Return the keys [24 link lists, choices of four of these operations], the last of which is nothing but skips."""
    digits = [OPERATIONS.index(operation) for operation in operations]
    return keys()[np.ix_(range(len(LINKS)), *[digits] * NODES)].reshape(len(LINKS), -1)


@cache
def _numbers(operations: tuple[str, ...]) -> tuple[dict[tuple[Value, ...], int], dict[tuple[Value, ...], int]]:
    """Return the row and the column of `_key_table`, by links and by operations."""
    columns = itertools.product(operations, repeat=NODES)
    return {links[1:]: row for row, links in enumerate(LINKS)}, {names: place for place, names in enumerate(columns)}


@cache
def _names() -> dict[int, tuple[str, ...]]:
    """Return four operations by the last four digits of a key."""
    return {
        sum(OPERATIONS.index(name) * 10**place for place, name in enumerate(reversed(names))): names
        for names in itertools.product(OPERATIONS, repeat=NODES)
    }


def _is_nothing(architecture: Architecture) -> bool:
    return architecture.spec[NODES - 1 :] == NOTHING


def _size_for(dataset: str) -> NasBenchGraphSize:
    return PUBLISHED[dataset].size if dataset in PUBLISHED else NasBenchGraphSize()


def _weights(operation: str, inputs: int, outputs: int) -> int:
    """Count the weights of one operation as torch-geometric has them, biases included."""
    matrices = {"skip": 0, "cheb": 2, "sage": 2, "graph": 2, "arma": 2}.get(operation, 1)
    vectors = {"skip": 0, "gat": 3}.get(operation, 1)
    # ARMA of one step owns a matrix for further steps, too, which it never uses.
    return matrices * inputs * outputs + vectors * outputs + (outputs**2 if operation == "arma" else 0)
