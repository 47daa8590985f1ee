"""Planetoid's files: the real ones against what is known of them, small ones against what was written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components

from nasbench.core.errors import BadInput, MissingData
from nasbench.datasets.graph_splits import NodeSource
from nasbench.datasets.graphs import rows
from nasbench.datasets.load import load_task, load_task_with_split
from nasbench.datasets.planetoid import import_file, is_original, locate, read_planetoid
from tests.datasets.conftest import REAL_DATA
from tests.datasets.planetoid_files import KNOWN, TEST_INDEX, TRAIN, contents, write


class Known(NamedTuple):
    """Counts of the data set, and of the two hops around its training nodes."""

    nodes: int
    edges: int
    words: int
    classes: int
    isolated: int
    isolated_in_test: int
    empty: int
    components: int
    numbers: int
    largest_degree: int
    field: list[int]
    unlabelled: int


KNOWN_OF = {
    "Cora": Known(2708, 10556, 1433, 7, 0, 0, 0, 78, 49216, 168, [140, 644, 1664], 0),
    "CiteSeer": Known(3327, 9104, 3703, 6, 48, 12, 15, 438, 105165, 99, [120, 442, 1092], 15),
}


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(REAL_DATA or "absent") / "planetoid"
    if not folder.is_dir():
        pytest.skip("NASBENCH_DATA holds no folder planetoid")
    monkeypatch.setenv("NASBENCH_DATA", str(folder.parent))
    return folder


@pytest.mark.parametrize("name", KNOWN_OF)
def test_the_real_files_give_the_known_counts(real: Path, name: str) -> None:
    known = KNOWN_OF[name]
    loaded = load_task_with_split(name.upper(), data_dir=None)
    search, test = loaded.task.search, loaded.task.test
    graph = search.train.graph
    assert (search.name, search.kind, search.input_shape, search.classes) == (
        name,
        "node",
        (known.words,),
        known.classes,
    )
    assert (graph.nodes, graph.edges.shape[1], graph.is_sparse) == (known.nodes, known.edges, True)
    assert loaded.split["sizes"] == {"train": 20 * known.classes, "validation": 500, "test": 1000}
    assert search.train.labels.bincount().tolist() == [20] * known.classes
    assert (loaded.split["split"], loaded.split["unlabelled"]) == ("given", known.unlabelled)

    keys = {*(graph.edges[0] * graph.nodes + graph.edges[1]).tolist()}
    assert keys == {*(graph.edges[1] * graph.nodes + graph.edges[0]).tolist()}  # undirected
    bare = graph.degrees == 0
    assert (int(bare.sum()), int(bare[test.index].sum())) == (known.isolated, known.isolated_in_test)
    assert int(graph.degrees.max()) == known.largest_degree
    from scipy.sparse import coo_matrix

    dense = coo_matrix((np.ones(known.edges), graph.edges.numpy()), (graph.nodes, graph.nodes))
    assert connected_components(dense)[0] == known.components

    sums = graph.features.to_dense().sum(1)
    assert int((sums == 0).sum()) == known.empty and graph.features.values().numel() == known.numbers
    assert torch.allclose(sums[sums != 0], torch.ones(known.nodes - known.empty), atol=1e-5)
    assert [len(field) for field in graph.receptive_field(search.train.index, 2)] == known.field


def test_what_two_layers_read_of_cora(real: Path) -> None:
    train = load_task("cora", data_dir=None).search.train
    fields = train.graph.receptive_field(train.index, 2)
    assert [train.graph.edges_into(field).shape[1] for field in fields[:2]] == [778, 4478]
    assert train.graph.with_loops().shape[1] == 13264
    assert rows(train.graph.features, fields[2]).values().numel() == 30691


def test_random_and_inductive_splits_of_cora(real: Path) -> None:
    one, two = (load_task_with_split("Cora@random", data_dir=None, split_seed=seed) for seed in (0, 1))
    assert one.split["sizes"] == {"train": 140, "validation": 210, "test": 2358}
    assert one.task.search.name == "Cora@random"
    assert one.task.search.validation.labels.bincount().tolist() == [30] * 7
    assert one.split["test_indices"] != two.split["test_indices"]
    search = load_task("cora@inductive", data_dir=None).search
    assert (search.train.graph.nodes, search.validation.graph.nodes) == (1208, 1708)
    public = load_task("cora@public", data_dir=None).search
    assert (public.name, public.fingerprint) == ("Cora", load_task("cora", data_dir=None).search.fingerprint)


def dense_features() -> np.ndarray:
    made = contents()
    dense = np.zeros((509, 6))
    dense[:KNOWN], dense[TEST_INDEX] = made["allx"].toarray(), made["tx"].toarray()
    return dense / np.maximum(dense.sum(1, keepdims=True), 1)


@pytest.mark.parametrize("python2", [False, True])
def test_small_files_are_read_as_written(tmp_path: Path, python2: bool) -> None:
    folder = write(tmp_path / "files")
    if python2:  # where the modules of numpy and scipy had other names
        for file in folder.glob("*x"):
            file.write_bytes(
                file.read_bytes()
                .replace(b"cscipy.sparse._csr\n", b"cscipy.sparse.csr\n")
                .replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
            )
    found = read_planetoid(folder, "cora")
    assert isinstance(found, NodeSource)
    np.testing.assert_allclose(found.graph.features.to_dense(), dense_features(), atol=1e-6)
    assert found.graph.edges.shape == (2, 2 * 509) and set(found.graph.degrees.tolist()) == {2}
    assert found.labels[506] == -1 and int((found.labels < 0).sum()) == 1
    assert found.labels[TEST_INDEX].tolist() == [0, 1, 0]
    parts = found.given[0]
    assert parts.train.tolist() == list(range(TRAIN)) and parts.validation.tolist() == list(range(TRAIN, TRAIN + 500))
    assert parts.held_out.tolist() == sorted(TEST_INDEX)


@pytest.mark.parametrize("place", ["planetoid/Cora/raw", "Cora/raw", "cora", "Planetoid", "raw", ""])
def test_where_files_are_found(tmp_path: Path, place: str) -> None:
    folder = write(tmp_path / "given" / place)
    assert locate("cora", tmp_path / "given") == folder
    assert load_task("CORA", data_dir=tmp_path / "given").search.name == "Cora"
    assert load_task(str(folder), data_dir=None).search.name == "Cora"


def test_a_graph_of_ones_own_in_such_files(tmp_path: Path) -> None:
    write(tmp_path / "data" / "papers" / "raw", "mine")
    loaded = load_task_with_split("papers@stratified", data_dir=None, validation=0.5)
    assert loaded.task.search.name == "mine@stratified" and loaded.split["sizes"]["validation"] == 254
    write(tmp_path / "data" / "papers" / "raw", "other")
    with pytest.raises(BadInput, match="holds 2 graphs: mine, other"):
        load_task("papers", data_dir=None)


def test_missing_says_what_and_where_from(tmp_path: Path) -> None:
    with pytest.raises(
        MissingData, match=r"PubMed is not in .*ind\.pubmed\.x, .*https://.*nasbench data import FOLDER"
    ):
        load_task("pubmed", data_dir=tmp_path)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


MADE = contents()
STORED = pickle.dumps(MADE["allx"], protocol=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"graph": None}, "lacks ind.cora.graph; get it from https"),
        ({"graph": b"\x80\x02}q"}, "ind.cora.graph is damaged"),
        ({"graph": Evil()}, "'posix.mkdir' is not allowed in such a file; it was not executed"),
        ({"graph": {0: [509]}}, "names nodes that are not there; the data set has nodes 0 to 508"),
        ({"graph": {0: [1.5]}}, "names nodes that are not there"),
        ({"graph": [[1]]}, "ind.cora.graph does not hold what such a file holds"),
        ({"allx": STORED[: len(STORED) // 2]}, "ind.cora.allx is damaged"),
        ({"allx": MADE["ally"]}, "ind.cora.allx does not hold what such a file holds"),
        ({"allx": MADE["allx"][:100]}, "do not belong together"),
        ({"tx": MADE["allx"]}, "do not belong together"),
        ({"ally": MADE["ally"] * 3}, "ind.cora.ally does not hold"),
        ({"ally": MADE["allx"]}, "ind.cora.ally does not hold"),
        ({"y": 1 - MADE["y"]}, "do not belong together"),
        ({"test_index": b"507\n505\nfive"}, "ind.cora.test.index does not hold"),
        ({"test_index": b""}, "ind.cora.test.index does not hold"),
        ({"test_index": b"505\n505\n507"}, "do not belong together"),
        ({"test_index": b"3\n505\n507"}, "do not belong together"),
        ({"test_index": b"505\n506\n999999999999"}, "do not belong together"),
    ],
)
def test_damage_is_refused_in_one_line(tmp_path: Path, monkeypatch, changed: dict, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / "files", **changed)
    for read in (lambda: load_task("cora", data_dir=folder), lambda: import_file(folder, tmp_path / "target")):
        if "allx" in (path.suffix[1:] for path in folder.iterdir()):
            with pytest.raises(BadInput, match=message) as raised:
                read()
            assert "\n" not in str(raised.value)
    assert not (tmp_path / "target").exists() and not (tmp_path / "executed").exists()


@pytest.mark.parametrize("part", ["indices", "indptr", "data"])
def test_a_matrix_that_points_outside_is_refused(tmp_path: Path, part: str) -> None:
    matrix = contents()["allx"]
    getattr(matrix, part)[-1] = {"indices": 10**6, "indptr": 10**6, "data": np.nan}[part]
    with pytest.raises(BadInput, match=r"ind\.cora\.allx does not hold"):
        read_planetoid(write(tmp_path, allx=matrix), "cora")


def test_import_copies_what_it_recognises(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source / "Cora" / "raw"), write(source, "citeseer"), write(source, "mine")
    assert is_original(source) and not is_original(tmp_path / "data") and not is_original(source / "ind.mine.x")
    for _ in range(2):  # again, onto itself too
        assert import_file(source, target) == target / "planetoid"
    assert import_file(target / "planetoid", target) == target / "planetoid"
    assert sorted(path.name for path in (target / "planetoid").iterdir()) == ["CiteSeer", "Cora"]
    assert len(list((target / "planetoid" / "Cora" / "raw").iterdir())) == 8
    for name in ("cora", "citeseer"):
        assert load_task(name, data_dir=target).search.classes == 2
