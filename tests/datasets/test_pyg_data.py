"""Graphs of torch-geometric: objects, and what it has stored. The one module of tests here that imports it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nasbench.core.errors import BadInput
from nasbench.datasets.load import load_task, load_task_with_split
from nasbench.datasets.pyg_data import read_stored, source_of, stored_file

pytest.importorskip("torch_geometric", reason="torch-geometric is not installed")
from torch_geometric.data import Data, HeteroData, InMemoryDataset

NODES = 60


def one(**changed: object) -> Data:
    """A ring with loops and repeated edges, every third node of another class, masks, and weights of edges."""
    ring = torch.arange(NODES)
    edges = torch.cat([torch.stack([ring, (ring + 1) % NODES]), torch.stack([ring, ring])], dim=1).repeat(1, 2)
    part = ring % 5
    values = {
        "x": torch.randn(NODES, 4, generator=torch.Generator().manual_seed(0)),
        "edge_index": edges,
        "y": (ring % 3 == 0).long(),
        "train_mask": part < 2,
        "val_mask": part == 2,
        "test_mask": part > 2,
        "edge_attr": torch.ones(edges.shape[1]),
    }
    return Data(**{key: value for key, value in (values | changed).items() if value is not None})


def many(count: int = 30) -> list[Data]:
    graphs = []
    for number in range(count):
        size = 3 + number % 3
        ring = torch.arange(size)
        edges = torch.stack([ring, (ring + 1) % size])
        graphs.append(Data(x=torch.full((size, 2), float(number)), edge_index=edges, y=torch.tensor([number % 2])))
    return graphs


class Stored(InMemoryDataset):
    def __init__(self, root: Path, graphs: list[Data]) -> None:
        self.graphs = graphs
        super().__init__(str(root))
        self.load(self.processed_paths[0])

    @property
    def processed_file_names(self) -> list[str]:
        return ["data.pt"]

    def process(self) -> None:
        self.save(self.graphs, self.processed_paths[0])


def test_one_graph_with_masks() -> None:
    source = source_of(one(), "made")
    assert source.graph.edges.shape == (2, NODES) and source.ignored == ("edge_attr",)
    assert torch.equal(source.graph.features, one().x) and torch.equal(source.labels, one().y)
    assert len(source.given) == 1 and torch.equal(source.given[0].held_out, one().test_mask.nonzero().flatten())
    assert source_of(one(val_mask=None), "made").given == ()
    wide = torch.stack([one().train_mask, one().val_mask], dim=1)
    columns = source_of(one(train_mask=wide, val_mask=wide.flip(1)), "made").given
    assert len(columns) == 2 and torch.equal(columns[0].train, columns[1].validation)
    assert torch.equal(columns[1].held_out, source.given[0].held_out)


def test_other_forms_of_features_and_labels() -> None:
    data = one()
    for x in (data.x.to_sparse_coo(), data.x.to_sparse_csr(), data.x.double(), data.x.half().float()):
        features = source_of(one(x=x), "made").graph.features
        assert features.dtype == torch.float32 and torch.allclose(features.to_dense(), data.x, atol=1e-2)
    unknown = source_of(one(y=data.y[:, None].int() - 1), "made")
    assert set(unknown.labels.tolist()) == {-1, 0}


@pytest.mark.parametrize("whole", [True, False])
def test_a_stored_data_set_comes_back(tmp_path: Path, whole: bool) -> None:
    for name, graphs in (("One", [one()]), ("Many", many())):
        data_set = Stored(tmp_path / "data" / name, graphs)
        folder = tmp_path / "data" / name
        direct = load_task_with_split(name, data_dir=None)
        spec = str(folder if whole else folder / "processed" / "data.pt")
        again = load_task_with_split(spec, data_dir=None)
        assert direct.task.search.fingerprint == again.task.search.fingerprint
        assert stored_file(folder) == stored_file(folder / "processed") == folder / "processed" / "data.pt"
        made = source_of(data_set, "made")
        read = read_stored(folder / "processed" / "data.pt")
        graph, other = (source.graph if name == "One" else source.graphs.graph for source in (made, read))
        assert graph.digest() == other.digest()
        assert direct.task.search.kind == ("node" if name == "One" else "graph")
        assert direct.split["origin"] == f"{name}/processed/data.pt" and direct.task.search.name == name


def test_what_older_versions_stored(tmp_path: Path) -> None:
    wanted = source_of(one(), "made").graph.digest()
    for name, value in (("object", (one(), None)), ("alone", one()), ("values", one().to_dict())):
        torch.save(value, tmp_path / f"{name}.pt")
        assert read_stored(tmp_path / f"{name}.pt").graph.digest() == wanted
    from torch.serialization import get_safe_globals

    assert Data in get_safe_globals()  # what torch-geometric marked is marked again


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_damaged_and_forbidden_files_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Stored(tmp_path / "Many", many())
    file = tmp_path / "Many" / "processed" / "data.pt"
    values, slices, kind = torch.load(file, weights_only=True)

    def refused(value: object, message: str) -> None:
        file.write_bytes(value) if isinstance(value, bytes) else torch.save(value, file)
        with pytest.raises(BadInput, match=message) as raised:
            load_task("./Many", data_dir=None)
        assert "\n" not in str(raised.value) and not (tmp_path / "executed").exists()

    refused((values, Evil()), "it names posix.mkdir; allowed are tensors and plain values")
    refused((values, slices, Path("x")), "it names pathlib")
    refused(b"no such thing", "it is damaged or of another kind")
    refused(file.read_bytes()[:200], "it is damaged or of another kind")
    refused([1, 2], "holds no graph of torch-geometric")
    refused((values, {}, kind), "the slices of x are missing or damaged")
    refused((values, slices | {"y": torch.tensor([0, 5, 2])}, kind), "the slices of y do not fit its 30 entries")
    empty = {"x": torch.ones(0, 2), "edge_index": torch.ones(2, 0).long(), "y": torch.ones(0).long()}
    refused((empty, {key: torch.tensor([0]) for key in empty}, kind), "holds no graphs")
    refused((values, slices | {"y": "abc"}, kind), "the slices of y are missing or damaged")
    refused((values, slices | {"y": torch.tensor([0, 30])}, kind), "the slices of y do not fit its 30 entries")
    refused((values | {"edge_index": values["edge_index"] + 4}, slices, kind), "an edge of graph 0 names a node")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: one(x=None), r"made has no features of nodes \(x, a tensor\); it has: edge_attr, edge_index"),
        (lambda: one(y=None), "made has no labels"),
        (lambda: one(x=torch.ones(NODES)), r"x must be \[nodes, features\], not \[60\]"),
        (lambda: one(x=torch.full((NODES, 2), torch.nan)), "a number that is not finite"),
        (lambda: one(x=torch.ones(NODES, 2, dtype=torch.complex64)), "features must be real numbers"),
        (lambda: one(y=torch.rand(NODES)), "labels are torch.float32; allowed are whole numbers"),
        (lambda: one(y=torch.ones(NODES, 2).long()), r"labels are \[60, 2\]; one class a node"),
        (lambda: one(y=torch.tensor([3])), "60 nodes and 1 labels|a label is 3"),
        (lambda: one(y=torch.full((NODES,), 10**12)), "a label is 1000000000000; classes are numbered from 0"),
        (lambda: one(edge_index=torch.tensor([[0], [60]])), "an edge names node 60; the graph has nodes 0 to 59"),
        (lambda: one(edge_index=torch.ones(3, 2).long()), r"edge_index must be whole numbers \[2, edges\]"),
        (lambda: one(test_mask=torch.ones(5).bool()), r"test_mask must be bool \[60\] or \[60, splits\], not torch"),
        (lambda: one(test_mask=torch.tensor(True)), "test_mask must be bool"),
        (lambda: one(test_mask=torch.ones(NODES, 2).bool(), val_mask=torch.ones(NODES, 3).bool()), "1 and 3 and 2"),
        (lambda: [*many(), 7], "expected graphs alone, and one item is a int"),
        (lambda: [*many(), one()], "graphs have 2 and 4 features a node"),
        (lambda: [*many(), Data(x=torch.ones(3, 2), edge_index=torch.ones(2, 1).long(), y=torch.ones(3).long())],
            "graph 30 of 31 has 3 labels; several graphs need one label each"),
        (lambda: [*many(), Data(x=torch.ones(0, 2), edge_index=torch.ones(2, 0).long(), y=torch.tensor([0]))],
            "graph 30 has no nodes"),
        (HeteroData, "made holds no graphs"),
        (lambda: HeteroData(paper={"x": torch.ones(3, 2)}), "made cannot be read as graphs: "),
        (lambda: [one(), HeteroData()], "one item is a HeteroData"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(value: Callable[[], object], message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        source_of(value(), "made")
    assert "\n" not in str(raised.value)


MODULE = """
import torch
from tests.datasets.test_pyg_data import Stored, many, one

ring = one()
rings = many()
def fresh(root, seed): return one(train_mask=None, x=torch.full((60, 2), float(seed)))
def stored(root): return Stored(root / "made", many())
pair = (Stored, Stored)
def two(): return [one(), 7]
"""


def test_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_graphs.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    ring = load_task_with_split("my_graphs:ring", data_dir=None)
    assert ring.split["split"] == "given" and ring.task.search.name == "my_graphs:ring"
    assert ring.split["ignored"] == ["edge_attr"] and ring.split["sizes"] == {"train": 24, "validation": 12, "test": 24}
    fresh = load_task_with_split("my_graphs.py:fresh@stratified-inductive", data_dir=None, split_seed=7)
    assert float(fresh.task.search.train.graph.features.max()) == 7 and fresh.task.search.train.graph.nodes == 36
    assert load_task_with_split("my_graphs:fresh", data_dir=None).split["split"] == "stratified"
    for name in ("rings", "stored"):
        assert load_task(f"my_graphs:{name}", data_dir=None).search.kind == "graph"
    with pytest.raises(BadInput, match="one item is a int"):
        load_task("my_graphs:two", data_dir=None)
    with pytest.raises(BadInput, match="unknown split 'rand'"):
        load_task("my_graphs:ring@rand", data_dir=None)


def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "graph-data.md").read_text()
    (tmp_path / "my_network.py").write_text(text.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    assert load_task("my_network:friends@random", data_dir=None).search.train.labels.bincount().tolist() == [20, 20]
