"""The contract of a search space, as one function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from nasbench.core.abilities import Crossing, Local, Relaxable
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.testing.contract import ContractBroken, no_global_randomness, require

BATCH = 2
GRAPHS = ("node", "graph")
"""Kinds of tasks whose networks take features of nodes, edges and, for whole graphs, each node's graph."""


def check_space(
    space: SearchSpace, *, task: SearchTask | None = None, size: Any = None, draws: int = 20, builds: int = 2
) -> None:
    """Sample, mutate, canonicalise, write, read, draw and build architectures; raise ContractBroken on a fault.

    ``task`` (default: 16x16 colour images of 10 classes; for a space of networks on graphs, one task of each of its
    kinds, with 5 features a node) and ``size`` are what the networks are built for; ``builds`` of the sampled
    architectures are built, run forward and backward on a batch of two: images, nodes, or graphs of a node. The
    supernet of a relaxable space is built only where a ``size`` is given, since that of the default size may be large.
    """
    tasks = [task] if task else [_task(kind) for kind in space.task_kinds or ("image",)]
    rng, again = generator(0, "check"), generator(0, "check")
    with no_global_randomness():
        for number in range(draws):
            architecture = space.sample(rng)
            require(
                space.sample(again) == architecture,
                "sample: the same generator gave another architecture; is a global random generator used?",
            )
            _check_one(space, architecture)
            relatives = _check_relatives(space, architecture, rng)
            same = relatives == _check_relatives(space, architecture, again)
            require(
                same,
                "mutate or crossover: the same generator gave another architecture; is a global random generator used?",
            )
            if number < builds:
                for built_for in tasks:
                    _check_build(space, architecture, built_for, size)
            if number == 0 and isinstance(space, Relaxable) and size is not None and tasks[0].kind == "image":
                _check_supernet(space, space.one_hot(architecture), tasks[0], size)
    many, one_by_one = space.sample_many(rng, 3), [space.sample(again) for _ in range(3)]
    require(many == one_by_one, "sample_many draws something else than sample.")
    for text in ("", "nonsense", "|~0|", "Genotype("):
        try:
            space.parse(text)
        except BadInput:
            continue
        except Exception as error:
            raise ContractBroken(f"parse: the text '{text}' raised {error!r}; it must raise BadInput.") from error
        require(False, f"parse: the text '{text}' was accepted.")
    for foreign in (Architecture("no such space", architecture.spec), Architecture(space.name, ("no such value",))):
        try:
            space.check(foreign)
        except BadInput:
            continue
        require(False, f"check accepted {foreign}, which is no architecture of the space.")


def _check_one(space: SearchSpace, architecture: Architecture) -> None:
    name = f"{space.name}: {architecture.spec}"
    require(architecture.space == space.name, f"{name} has space '{architecture.space}'; it must be the space's name.")
    space.check(architecture)
    restored = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    require(restored == architecture, f"{name} changes when it is written to JSON and read again.")
    text = space.format(architecture)
    require(space.parse(text) == architecture, f"{name}: format and parse do not undo each other: {text}")
    representative = space.canonical(architecture)
    space.check(representative)
    require(space.canonical(representative) == representative, f"{name}: canonical of canonical is something else.")
    graph = space.graph(architecture)
    require(len(graph) > 0, f"{name}: its graph is empty.")
    lacking = [node for node, data in graph.nodes(data=True) if "op" not in data]
    require(not lacking, f"{name}: graph nodes without the attribute 'op': {lacking}")
    if isinstance(space, Relaxable):
        weights = space.one_hot(architecture)
        zeros_and_ones = all(np.isin(table, (0, 1)).all() for table in weights.values())
        require(zeros_and_ones, f"{name}: one_hot must hold nothing but 0 and 1.")
        found = space.discretize(weights)
        require(found == architecture, f"{name}: discretize reads another architecture off its one_hot: {found.spec}")


def _check_relatives(space: SearchSpace, architecture: Architecture, rng: Any) -> list[Architecture]:
    """Check mutation, crossover and neighbours of one architecture; return what was drawn."""
    mutant = space.mutate(architecture, rng)
    space.check(mutant)
    require(mutant != architecture, f"mutate returned the same architecture: {architecture.spec}")
    drawn = [mutant]
    if isinstance(space, Crossing):
        drawn.append(space.crossover(architecture, space.sample(rng), rng))
        space.check(drawn[-1])
    if isinstance(space, Local):
        neighbors = space.neighbors(architecture)
        for neighbor in neighbors:
            space.check(neighbor)
        require(architecture not in neighbors, f"neighbors contains the architecture itself: {architecture.spec}")
        require(len(set(neighbors)) == len(neighbors), f"neighbors names one twice: {architecture.spec}")
        require(mutant in neighbors, f"mutate changed more than one decision of {architecture.spec}: {mutant.spec}")
    return drawn


def _check_build(space: SearchSpace, architecture: Architecture, task: SearchTask, size: Any) -> None:
    import torch

    name = f"{space.name}: {space.format(architecture)}"
    weights = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = space.build(architecture, task, size)
        weights.append([parameter.detach().clone() for parameter in network.parameters()])
    require(all(torch.equal(a, b) for a, b in zip(*weights, strict=True)), f"{name}: build ignores torch's seed.")
    if task.kind not in ("image", *GRAPHS):
        return
    network.train()
    output = network(*_zeros(task))
    logits = output[0] if isinstance(output, tuple) else output
    expected = (BATCH, task.classes)
    require(tuple(logits.shape) == expected, f"{name}: the network returns {tuple(logits.shape)}, not {expected}.")
    require(bool(torch.isfinite(logits).all()), f"{name}: the network's output on zeros is not finite.")
    logits.sum().backward()
    require(any(p.grad is not None for p in network.parameters()), f"{name}: no weight gets a gradient.")


def _task(kind: str) -> SearchTask:
    """Return a task without data: nodes or graphs of 5 features a node, else colour images of 16x16 pixels."""
    return SearchTask("check", kind, (5,) if kind in GRAPHS else (3, 16, 16), 10, None, None, "")


def _zeros(task: SearchTask) -> tuple[Any, ...]:
    """Return what a network takes: images; two connected nodes and the edges; or those and the graphs they are in."""
    import torch

    zeros = torch.zeros(BATCH, *task.input_shape)
    if task.kind == "image":
        return (zeros,)
    if task.kind == "node":
        return zeros, torch.tensor([[0, 1], [1, 0]])
    return zeros, torch.zeros(2, 0, dtype=torch.long), torch.arange(BATCH)


def _check_supernet(space: Relaxable, one_hot: Mapping[str, np.ndarray], task: SearchTask, size: Any) -> None:
    """Check the supernet with uniform coefficients; ``one_hot`` are the weights of some architecture."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = space.relax(task, size)
    shapes = supernet.architecture_shape()
    given = {kind: table.shape for kind, table in one_hot.items()}
    require(given == shapes, f"one_hot has the shapes {given}; architecture_shape says {shapes}.")
    columns = {shape[1] for shape in shapes.values()}
    named = len(supernet.operations)
    require(columns == {named}, f"the supernet names {named} operations; architecture_shape says {shapes}.")
    labels = supernet.edge_labels()
    named_edges = {kind: len(names) for kind, names in labels.items()}
    edges = {kind: shape[0] for kind, shape in shapes.items()}
    require(named_edges == edges, f"edge_labels names {named_edges} edges; architecture_shape has {edges}.")
    twice = [kind for kind, names in labels.items() if len(set(names)) < len(names)]
    require(not twice, f"edge_labels gives two edges of {twice} the same name.")
    uniform = {kind: torch.full(shape, 1 / shape[1], requires_grad=True) for kind, shape in shapes.items()}
    logits = supernet(torch.zeros(BATCH, *task.input_shape), uniform)
    found, expected = tuple(logits.shape), (BATCH, task.classes)
    require(found == expected, f"the supernet returns {found}, not {expected}.")
    require(bool(torch.isfinite(logits).all()), "the supernet's output on zeros is not finite.")
    logits.sum().backward()
    deaf = [kind for kind, value in uniform.items() if value.grad is None]
    require(not deaf, f"the supernet's output does not depend on the coefficients of {deaf}.")
