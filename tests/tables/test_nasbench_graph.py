"""The NAS-Bench-Graph tables: the published figures, from the package and converted, and what is refused."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData, NotTrained
from nasbench.core.evaluation import Proposal
from nasbench.core.problem import SearchTask
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.anytime import course_of
from nasbench.protocol.table_judge import TableJudge
from nasbench.protocol.table_regret import TableRegret
from nasbench.search_spaces.nasbench_graph import PUBLISHED, NasBenchGraph, NasBenchGraphProteins
from nasbench.tables import nasbench_graph
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.nasbench_graph import GraphTable, convert, load, numbers, original_file, read_original
from nasbench.tables.table import datasets, load_table
from tests.protocol.test_anytime import record

SPACE = NasBenchGraph()
NOTHING = Architecture(SPACE.name, (1, 2, 3, *("skip",) * 4))
DATASETS = tuple(PUBLISHED)

if original_file("cora") is None:
    pytest.skip("the package nas-bench-graph is not installed", allow_module_level=True)


def table_of(dataset: str) -> GraphTable:
    name = NasBenchGraphProteins.name if dataset == "proteins" else SPACE.name
    found = load_table(name, dataset)
    assert isinstance(found, GraphTable)
    return found


def of_network(table: GraphTable, key: str) -> tuple[float, float]:
    """Validation and test accuracy of a network."""
    space = NasBenchGraphProteins() if table.dataset == "proteins" else SPACE
    row = table.row[space.parse(key).spec]
    return float(table.valid_accuracy[row]), float(held_out_scores(table)[row])


# -- what they say -----------------------------------------------------------------------------------------------------
# Validation mean, deviation and maximum, test mean, deviation, median and maximum over the networks; the networks that
# are best by validation and by test, and their test accuracies.
FIGURES = {
    "cora": (76.31, 6.96, 81.93, 75.43, 9.57, 78.53, "87072", 82.63, "77016", 83.13),
    "citeseer": (64.37, 6.79, 72.80, 61.07, 10.68, 65.40, "31144", 71.03, "47206", 71.57),
    "pubmed": (77.17, 1.65, 81.13, 73.07, 3.93, 74.03, "30224", 75.60, "21512", 78.60),
    "cs": (84.95, 8.24, 92.13, 83.38, 9.33, 86.46, "26503", 90.59, "21506", 91.26),
    "physics": (88.49, 3.43, 94.00, 87.12, 5.25, 89.28, "60717", 91.35, "45155", 93.01),
    "photo": (89.24, 3.97, 94.07, 86.98, 5.15, 88.04, "30743", 92.08, "30747", 92.79),
    "computers": (86.76, 2.56, 91.90, 75.75, 5.70, 76.76, "73033", 82.03, "20407", 85.58),
    "arxiv": (70.70, 2.92, 73.67, 69.55, 2.87, 70.46, "83533", 71.95, "81344", 72.39),
    "proteins": (82.81, 1.35, 85.33, 76.63, 1.41, 76.89, "74578", 76.11, "85414", 79.26),
}
GCN = {
    "cora": (79.13, 80.17),
    "citeseer": (70.27, 68.97),
    "pubmed": (77.47, 77.77),
    "cs": (86.40, 84.32),
    "physics": (91.33, 91.26),
    "photo": (92.23, 91.42),
    "computers": (89.97, 83.31),
    "arxiv": (71.67, 70.69),
    "proteins": (81.20, 73.61),
}
GAT = {
    "cora": (79.40, 80.97),
    "citeseer": (69.40, 68.97),
    "pubmed": (78.93, 76.23),
    "cs": (60.43, 57.76),
    "physics": (89.57, 88.77),
    "photo": (91.80, 92.41),
    "computers": (87.20, 82.55),
    "arxiv": (71.87, 71.13),
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_figures_of_each_data_set(dataset: str) -> None:
    table = table_of(dataset)
    valid_mean, valid_std, best, mean, std, median, by_valid, its_test, by_test, best_test = FIGURES[dataset]
    first = np.unique(table.network, return_index=True)[1]
    assert len(first) == (2_021 if dataset == "proteins" else 26_206)
    valid, test = table.valid_accuracy[first], held_out_scores(table)[first]
    found = (valid.mean(), valid.std(), valid.max(), test.mean(), test.std(), np.median(test), test.max())
    assert found == pytest.approx((valid_mean, valid_std, best, mean, std, median, best_test), abs=0.011)
    assert of_network(table, by_valid) == pytest.approx((best, its_test), abs=0.006)
    assert of_network(table, by_test)[1] == test.max()
    assert of_network(table, "88811") == pytest.approx(GCN[dataset], abs=0.006)
    if dataset in GAT:
        assert of_network(table, "88800") == pytest.approx(GAT[dataset], abs=0.006)


def test_multilayer_perceptrons_are_worst() -> None:
    for dataset, expected in {"cora": (57.20, 55.07), "citeseer": (54.40, 52.50), "pubmed": (70.87, 70.17)}.items():
        assert of_network(table_of(dataset), "88877") == pytest.approx(expected, abs=0.006)


def test_ranks_on_cora() -> None:
    """Before rounding, which means of three trainings differ in their last bits."""
    found = numbers(table_of("cora").file, "cora")
    for key, rank in ((88800, 646), (88811, 3_062), (87072, 3)):
        assert np.count_nonzero(found.held_out > found.held_out[np.searchsorted(found.key, key)]) + 1 == rank


def test_validation_counts_nodes() -> None:
    valid = numbers(table_of("cora").file, "cora").valid
    assert np.abs(valid * 1500 - np.rint(valid * 1500)).max() < 1e-6


@pytest.mark.parametrize("dataset", DATASETS)
def test_networks_have_the_parameters_of_the_table(dataset: str) -> None:
    """Fifty by counting, some of them by building, too; those of physics follow below."""
    space, counted, published = counting(dataset)
    facts = PUBLISHED[dataset]
    task = SearchTask(dataset, "node", (facts.features,), facts.outputs, None, None, "")
    some = np.random.default_rng(0).choice(list(published), 50, replace=False).tolist()
    if dataset != "physics":
        assert [counted(key) for key in some] == [published[key] for key in some]
    with torch.device("meta"):
        for key in some[:8]:
            network = space.build(space.parse(f"{key:05d}"), task)
            assert sum(weight.numel() for weight in network.parameters()) == counted(key)


def test_of_physics_the_table_has_means_over_different_networks() -> None:
    _, counted, published = counting("physics")
    differing = [key for key in published if counted(key) != published[key]]
    assert len(differing) == 1_567
    assert all(abs(3 * published[key] - round(3 * published[key])) < 0.05 for key in differing)


def counting(dataset: str) -> tuple[NasBenchGraph, Callable[[int], int], dict[int, float]]:
    """Return the space of a data set, how to count the parameters of a key, and what the table says of all."""
    space = NasBenchGraphProteins() if dataset == "proteins" else SPACE
    facts, table = PUBLISHED[dataset], table_of(dataset)
    published = dict(zip(numbers(table.file, dataset).key.tolist(), table.parameters.tolist(), strict=True))

    def counted(key: int) -> int:
        return space.count_parameters(space.parse(f"{key:05d}"), facts.features, facts.outputs, facts.size)

    return space, counted, published


def test_names_and_notes() -> None:
    assert tuple(datasets(SPACE.name)) == DATASETS[:-1] and list(datasets(NasBenchGraphProteins.name)) == ["proteins"]
    cora, proteins = load_table(SPACE.name, "CORA"), table_of("proteins")
    assert (cora.space, cora.dataset, cora.classes) == ("nasbench-graph", "cora", 7)
    text = " ".join(cora.notes)
    assert "157,440 encodings" in text and "draw encodings uniformly" in text and "share its three trainings" in text
    assert "ROC-AUC" in " ".join(proteins.notes) and "14,976 encodings" in " ".join(proteins.notes)
    with pytest.raises(BadInput, match="use --space nasbench-graph-proteins"):
        load("proteins")
    with pytest.raises(BadInput, match="use --space nasbench-graph"):
        load_table(NasBenchGraphProteins.name, "cora")
    with pytest.raises(BadInput, match=r"unknown data set in the NAS-Bench-Graph table 'core'. Did you mean 'cora'"):
        load("core")


# -- the judge and the evaluator ---------------------------------------------------------------------------------------
def test_the_judge_draws_as_the_space_samples() -> None:
    table = table_of("cora")
    judge, held_out = TableJudge(table), held_out_scores(table)
    keys = SPACE.all_keys()
    by_key = dict(zip(keys.tolist(), held_out.tolist(), strict=True))
    baseline = judge.baseline()
    assert (baseline.n, baseline.sampler) == (157_440, "uniform over all encodings")
    assert baseline.mean == pytest.approx(held_out.mean())
    drawn = [by_key[SPACE.key(a)] for a in SPACE.sample_many(np.random.default_rng(0), 5_000)]
    assert abs(np.mean(drawn) - baseline.mean) < 4 * np.std(drawn) / 5_000**0.5
    search = judge.random_search(100)
    assert held_out.max() - search.mean == pytest.approx(3.15, abs=0.01) and search.std == pytest.approx(1.09, abs=0.01)


def test_the_evaluator_tells_accuracy_parameters_and_latency() -> None:
    table = table_of("cora")
    looking_up = TableEvaluator(SPACE, table, TableEvaluator.Config(latency="gpu"))
    raw, key = SPACE.parse("0121 gcn gin fc cheb"), SPACE.parse("61237")
    one, other = (looking_up.evaluate(Proposal(a), id=0, seed=0).metrics for a in (raw, key))
    assert one == other and one.keys() == {"valid_accuracy", "parameters", "latency_ms@gpu"}
    assert one["parameters"] == SPACE.count_parameters(key, 1433, 7, PUBLISHED["cora"].size)
    assert 0.4 < one["latency_ms@gpu"] < 8.5
    with pytest.raises(BadInput, match="unknown device 'cpu'"):
        TableEvaluator(SPACE, table, TableEvaluator.Config(latency="cpu"))
    with pytest.raises(BadInput, match="no cell or network"):
        table.score(Architecture(SPACE.name, (0, 0, 0, "conv", "gcn", "gcn", "gcn")))


def test_nothing_but_skips_is_a_failed_evaluation() -> None:
    table = table_of("cora")
    with pytest.raises(NotTrained):
        table.score(NOTHING)
    evaluation = TableEvaluator(SPACE, table, TableEvaluator.Config()).evaluate(Proposal(NOTHING), id=3, seed=0)
    assert (evaluation.status, evaluation.metrics) == ("failed", {}) and "four skips" in str(evaluation.error)
    good = SPACE.parse("88811")
    records = [
        {**evaluation.to_record(), "id": 0},
        record(1, "", 79.13, source="table") | {"architecture": good.to_json()},
    ]
    regret = TableRegret(table)
    course = course_of(records, regret.chance)
    assert course is not None
    validation, test = regret.of(course, good.spec, 2)
    assert validation.curve[0] == pytest.approx(81.9333 - 100 / 7, abs=1e-3)
    assert test.final == pytest.approx(83.1333 - 80.1667, abs=1e-3)


def test_the_search_does_not_see_test_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = table_of("cora")
    whole = numbers(before.file, "cora")
    monkeypatch.setattr(nasbench_graph, "numbers", lambda *given: replace(whole, held_out=whole.held_out[::-1]))
    after = table_of("cora")
    assert after.fingerprint == before.fingerprint and np.array_equal(after.valid_accuracy, before.valid_accuracy)


# -- files -------------------------------------------------------------------------------------------------------------
def test_it_is_converted_once_and_then_loads_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "data"))
    first = load("citeseer")
    assert first.file == tmp_path / "cache" / "nasbench_graph" / "citeseer.npz"
    monkeypatch.setattr(nasbench_graph, "original_file", lambda dataset: None)
    start = time.process_time()
    assert load("citeseer").fingerprint == first.fingerprint
    assert time.process_time() - start < 0.2
    with pytest.raises(MissingData, match=r"cora .*pip install 'nasbench\[graph\]'"):
        load("cora")
    first.file.write_bytes(first.file.read_bytes()[:-100])
    with pytest.raises(MissingData):
        load("citeseer")
    monkeypatch.undo()
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "cache"))
    assert load("citeseer").fingerprint == first.fingerprint  # what is damaged in the cache is made again


def test_an_imported_file_goes_before_the_cache(tmp_path: Path) -> None:
    file = convert("photo", tmp_path)
    assert load("photo", tmp_path).file == file == tmp_path / "nasbench_graph" / "photo.npz"
    whole = file.read_bytes()
    for damaged in (b"", b"PK", whole[:-30], whole[:1000], whole[:500_000] + b"\xff\xff\xff" + whole[500_003:]):
        file.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"photo\.npz( is damaged|:)"):
            load("photo", tmp_path)
    file.write_bytes((tmp_path / "nasbench_graph" / convert("cora", tmp_path).name).read_bytes())
    with pytest.raises(BadInput, match="checksum"):
        load("photo", tmp_path)
    np.savez(file, key=np.array([object()], dtype=object))
    with pytest.raises(BadInput, match="is damaged"):
        load("photo", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "nasbench_graph").write_text("a file")
    with pytest.raises(BadInput, match="cannot write"):
        convert("proteins", tmp_path)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_pickles_execute_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "proteins.bench"
    for content in (Harmful(), {10001: {"perf": Harmful()}}, np.zeros(3), {1: np.float64}):
        file.write_bytes(pickle.dumps(content, protocol=3))
        with pytest.raises(BadInput, match=r"is not allowed in such a file; it was not executed"):
            read_original(file, "proteins")
    assert not (tmp_path / "harmed").exists()


def test_what_is_not_the_benchmark_is_refused(tmp_path: Path) -> None:
    original = original_file("proteins")
    assert original is not None
    entries = pickle.loads(original.read_bytes())
    file = tmp_path / "proteins.bench"

    def refused(changed: object, message: str) -> None:
        file.write_bytes(pickle.dumps(changed, protocol=3))
        with pytest.raises(BadInput, match=message):
            read_original(file, "proteins")

    some = next(iter(entries))
    refused({}, "0 entries; NAS-Bench-Graph has 2021 networks on proteins")
    refused([1], "0 entries")
    refused({**entries, 88888: entries[some]}, "2022 entries")
    refused({**entries, some: {}}, "not the four numbers of a network")
    refused({**entries, some: {**entries[some], "perf": "high"}}, "not the four numbers of a network")
    refused({**entries, some: {**entries[some], "perf": 0.7}}, "checksum")
    refused({**entries, some: {**entries[some], "perf": float("nan")}}, "checksum")
    file.write_bytes(original.read_bytes()[:-2000])
    with pytest.raises(BadInput, match="is damaged"):
        read_original(file, "proteins")
    with pytest.raises(BadInput, match="cannot be read"):
        read_original(tmp_path / "nowhere.bench", "proteins")
