"""Networks of the DARTS space: stand-alone and relaxed."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.search_spaces.darts import EDGES, OPERATIONS, Darts, DartsSize
from nasbench.search_spaces.darts_network import reductions

SPACES = {name: Darts(name) for name in OPERATIONS}
SMALL = DartsSize(channels=4, cells=3)


def task(*shape: int) -> SearchTask:
    return SearchTask("pictures", "images", shape, 10, None, None, "pictures")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# -- stand-alone networks --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operations", "cells", "count"),
    [
        ("darts", "DARTS_V1", 3_169_414),
        ("sharpsepconv-darts", "DARTS_V1", 3_169_414),
        ("darts", "DARTS_V2", 3_349_342),
        ("sharpsepconv-darts", "DARTS_V2", 3_529_270),
        ("sharpsepconv-darts", "SHARPSEPCONV_DARTS", 3_555_622),
        ("sharpdarts", "SHARP_DARTS", 1_974_934),
        ("sharper", "SHARPER_MAX_W", 6_087_142),
    ],
)
def test_parameters_of_known_cells_at_36_channels_and_20_cells(operations: str, cells: str, count: int) -> None:
    space = SPACES[operations]
    assert parameters(space.build(space.parse(cells), task(3, 32, 32))) == count


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 9)])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_networks_run_forward_and_backward(shape: tuple[int, ...], stem: Any) -> None:
    for space in SPACES.values():
        architecture = space.sample(np.random.default_rng(5))
        network = space.build(architecture, task(*shape), DartsSize(channels=4, cells=3, stem=stem))
        logits = network(torch.randn(2, *shape))
        assert logits.shape == (2, 10)
        logits.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_reduction_cells_stand_at_one_and_two_thirds() -> None:
    assert [reductions(cells) for cells in (1, 2, 3, 8, 14, 20)] == [set(), {1}, {1, 2}, {2, 5}, {4, 9}, {6, 13}]


def test_auxiliary_logits_appear_in_training_only() -> None:
    space = SPACES["darts"]
    architecture = space.parse("DARTS_V2")
    network = space.build(architecture, task(3, 32, 32), DartsSize(channels=4, cells=3, auxiliary=True))
    images = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert isinstance(network.eval()(images), torch.Tensor)
    with pytest.raises(BadInput, match="here it is 2x2"):
        space.build(architecture, task(1, 8, 8), DartsSize(channels=4, cells=3, auxiliary=True))
    large = DartsSize(channels=4, cells=3, auxiliary=True, stem="imagenet")
    assert len(space.build(architecture, task(3, 224, 224), large)(torch.randn(2, 3, 224, 224))) == 2


def test_drop_path_acts_in_training_and_never_on_identities() -> None:
    space = SPACES["darts"]
    images = torch.randn(8, 3, 8, 8)
    network = space.build(space.parse("DARTS_V2"), task(3, 8, 8), SMALL)
    assert torch.equal(network(images), network(images))
    network.set_drop_path(0.5)
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))
    assert "drop_probability" not in network.state_dict()
    skips = Architecture(space.name, ((0, 1), "skip_connect", "skip_connect") * 8)
    identities = space.build(skips, task(3, 8, 8), DartsSize(channels=4, cells=1))
    identities.set_drop_path(0.5)
    assert torch.equal(identities(images), identities(images))
    for wrong in (-0.1, 1.0):
        with pytest.raises(BadInput, match="probability"):
            network.set_drop_path(wrong)


@pytest.mark.parametrize("wrong", [{"channels": 5}, {"channels": 0}, {"cells": 0}, {"stem": "svhn"}, {"width": 3}])
def test_a_wrong_size_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DartsSize(**wrong)


def test_tasks_without_images_are_refused() -> None:
    with pytest.raises(BadInput, match="images of shape"):
        SPACES["darts"].build(SPACES["darts"].parse("DARTS_V1"), task(64))


# -- the relaxed network ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operations", "count"),
    [("darts", 1_930_618), ("sharpsepconv-darts", 2_527_354), ("sharpdarts", 5_867_642), ("sharper", 9_707_002)],
)
def test_parameters_of_supernets_at_16_channels_and_8_cells(operations: str, count: int) -> None:
    supernet = SPACES[operations].relax(task(3, 32, 32))
    assert parameters(supernet) == count
    shape = (14, len(OPERATIONS[operations]) + 1)
    assert supernet.architecture_shape() == {"normal": shape, "reduce": shape}
    assert supernet.operations[0] == "none"


def test_rows_are_named_and_grouped_by_the_node_they_lead_to() -> None:
    supernet = SPACES["sharper"].relax(task(1, 8, 8), SMALL)
    labels = supernet.edge_labels()
    assert labels["normal"] == labels["reduce"]
    assert labels["normal"][:5] == ["0 -> 2", "1 -> 2", "0 -> 3", "1 -> 3", "2 -> 3"]
    assert labels["normal"][9:] == ["0 -> 5", "1 -> 5", "2 -> 5", "3 -> 5", "4 -> 5"]
    assert supernet.nodes() == [[0, 1], [2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12, 13]]
    for node, rows in enumerate(supernet.nodes()):
        assert all(labels["reduce"][row].endswith(f"-> {node + 2}") for row in rows)


@pytest.mark.parametrize(
    ("operations", "shape"),
    [("darts", (1, 8, 8)), ("sharpsepconv-darts", (3, 7, 9)), ("sharpdarts", (3, 7, 9)), ("sharper", (1, 8, 8))],
)
def test_supernet_gives_gradients_to_coefficients_and_weights(operations: str, shape: tuple[int, ...]) -> None:
    supernet = SPACES[operations].relax(task(*shape), SMALL)
    coefficients = {
        kind: torch.full(size, 1 / size[1], requires_grad=True) for kind, size in supernet.architecture_shape().items()
    }
    logits = supernet(torch.randn(4, *shape), coefficients)
    assert logits.shape == (4, 10)
    logits.square().sum().backward()
    for value in coefficients.values():
        assert value.grad is not None
        assert (value.grad[:, 0] == 0).all()
        assert (value.grad[:, 1:] != 0).any()
    assert all(parameter.grad is not None for parameter in supernet.parameters())


def test_one_hot_coefficients_leave_only_the_chosen_operations() -> None:
    torch.manual_seed(0)
    space = SPACES["darts"]
    supernet = space.relax(task(3, 8, 8), SMALL).eval()
    names = supernet.operations
    rng = np.random.default_rng(0)
    chosen = {kind: rng.integers(0, 8, 14) for kind in ("normal", "reduce")}
    coefficients = {kind: nn.functional.one_hot(torch.from_numpy(picks), 8).float() for kind, picks in chosen.items()}
    images = torch.randn(2, 3, 8, 8)
    logits = supernet(images, coefficients)
    assert logits.std() > 0

    # Spoiling all operations that were not chosen changes nothing; spoiling a chosen one does.
    def convolutions(kind: str, edge: int, name: str) -> list[nn.Parameter]:
        column = names.index(name) - 1
        cells = [cell for cell, k in zip(supernet.cells, supernet.kinds, strict=True) if k == kind]
        return [p for cell in cells for p in cell.edges[edge].operations[column].parameters()]

    with torch.no_grad():
        for kind, edge, name in itertools.product(chosen, range(14), names[1:]):
            if names[chosen[kind][edge]] != name:
                for parameter in convolutions(kind, edge, name):
                    parameter.fill_(7.0)
        assert torch.equal(supernet(images, coefficients), logits)
        kind, edge, name = next(
            (kind, edge, names[pick])
            for kind, picks in chosen.items()
            for edge, pick in enumerate(picks)
            if "conv" in names[pick]
        )
        for parameter in convolutions(kind, edge, name):
            parameter.fill_(7.0)
        assert not torch.allclose(supernet(images, coefficients), logits)


def test_supernet_with_one_hot_coefficients_computes_the_stand_alone_cell() -> None:
    """With the weights of a found network, and no scale or shift in its norms, both give the same logits."""
    torch.manual_seed(0)
    space, size = SPACES["darts"], DartsSize(channels=4, cells=3)
    architecture = space.parse("DARTS_V2")
    # Pooling alone differs: it is followed by a norm in the supernet. Use convolutions and skips.
    architecture = Architecture(
        space.name, tuple("sep_conv_5x5" if v == "max_pool_3x3" else v for v in architecture.spec)
    )
    network, supernet = space.build(architecture, task(3, 8, 8), size), space.relax(task(3, 8, 8), size)
    supernet.stem.load_state_dict(network.stem.state_dict())
    supernet.classifier.load_state_dict(network.classifier.state_dict())
    for kind, cell, mixed in zip(supernet.kinds, network.cells, supernet.cells, strict=True):
        mixed.preprocess.load_state_dict(cell.preprocess.state_dict(), strict=False)
        for (source, target, name), operation in zip(
            space.cell_edges(architecture, kind), cell.operations, strict=True
        ):
            row, column = EDGES.index((source, target)), supernet.operations.index(name)
            mixed.edges[row].operations[column - 1].load_state_dict(operation.state_dict(), strict=False)
    coefficients = {kind: torch.from_numpy(table) for kind, table in space.one_hot(architecture).items()}
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(supernet(images, coefficients), network(images), rtol=1e-4, atol=1e-5)
    for module in (supernet, network):  # the running statistics of that batch are the same, too
        module.eval()
    torch.testing.assert_close(supernet(images, coefficients), network(images), rtol=1e-4, atol=1e-5)


def test_coefficients_of_a_wrong_shape_are_refused() -> None:
    supernet = SPACES["darts"].relax(task(1, 8, 8), SMALL)
    with pytest.raises(BadInput, match=r"coefficients 'reduce' of shape \(14, 8\)"):
        supernet(torch.randn(2, 1, 8, 8), {"normal": torch.ones(14, 8), "reduce": torch.ones(14, 7)})
