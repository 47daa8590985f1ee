"""The NAS-Bench-Macro table: the published figures, two files of one content, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.errors import BadInput, MissingData
from nasbench.core.evaluation import Proposal
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.random_search import RandomSearch
from nasbench.protocol.table_judge import TableJudge
from nasbench.search_spaces.nasbench_macro import NasBenchMacro
from nasbench.tables import nasbench_macro
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.nasbench_macro import FILE, NETWORKS, import_file, is_original, load, trainings
from nasbench.tables.table import Table, load_table

SPACE = NasBenchMacro()
ORIGINAL = "nasbench_macro_cifar10.json"


@pytest.fixture
def original(data: Path) -> Path:
    """The file that the benchmark's authors publish."""
    if not (data / ORIGINAL).exists():
        pytest.skip(f"{ORIGINAL} is not in NASBENCH_DATA")
    return data / ORIGINAL


@pytest.fixture
def entries(original: Path) -> dict[str, Any]:
    return json.loads(original.read_text())


@pytest.fixture
def macro(original: Path) -> Table:
    return load("cifar10", original)


@pytest.fixture
def changed(entries: dict[str, Any], tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """Return a function that changes the entries and writes them to a file of their own."""

    def write(change: Callable[[dict[str, Any]], object]) -> Path:
        change(entries)
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(entries))
        return file

    return write


# -- what it says ------------------------------------------------------------------------------------------------------
def test_every_row_is_that_of_the_file(macro: Table, entries: dict[str, Any], original: Path) -> None:
    held_out = held_out_scores(macro)
    assert len(macro.row) == len(macro.valid_accuracy) == len(held_out) == NETWORKS == len(entries) == 6_561
    for architecture in SPACE.all():
        row, published = macro.row[architecture.spec], entries[SPACE.format(architecture)]
        first, second, third = published["test_acc"]
        assert abs(macro.valid_accuracy[row] - first) < 1e-4
        assert abs(held_out[row] - (second + third) / 2) < 1e-4
    assert trainings(original).mean(axis=1).max() / 100 == pytest.approx(93.1267, abs=1e-4)
    assert trainings(original).mean(axis=1).min() / 100 == pytest.approx(45.3633, abs=1e-4)


def test_parameters_and_multiply_adds_of_all_networks_are_those_of_the_file(entries: dict[str, Any]) -> None:
    for architecture in SPACE.all():
        published = entries[SPACE.format(architecture)]
        assert SPACE.parameters(architecture) == published["params"]
        assert SPACE.macs(architecture) == published["flops"]


def test_encodings_of_one_network_share_their_trainings_and_no_others_do(original: Path) -> None:
    correct = trainings(original)
    networks: dict[Any, set[tuple[int, ...]]] = {}
    for architecture, row in zip(SPACE.all(), correct.tolist(), strict=True):
        networks.setdefault(SPACE.canonical(architecture), set()).add(tuple(row))
    assert len(networks) == 3_969 and all(len(scores) == 1 for scores in networks.values())
    assert len(set().union(*networks.values())) == 3_969


def test_the_best_compromises_number_as_published_scores_say(original: Path) -> None:
    """Distinct points that no other beats in accuracy (mean of three) and multiply-adds, or parameters."""
    accuracy = trainings(original).sum(axis=1)
    for count, expected in ((SPACE.macs, 35), (SPACE.parameters, 39)):
        points = {(count(a), -int(score)) for a, score in zip(SPACE.all(), accuracy, strict=True)}
        best, front = 1, 0
        for _, cost in sorted(points):
            if cost < best:
                best, front = cost, front + 1
        assert front == expected


def test_a_report_says_what_the_scores_are(macro: Table) -> None:
    assert (macro.space, macro.dataset, macro.classes) == ("nasbench-macro", "cifar10", 10)
    text = " ".join(macro.notes)
    assert "no validation accuracy" in text and "mean of the other two" in text and "3,969 different networks" in text


def test_it_is_found_by_the_name_of_its_space(macro: Table, original: Path) -> None:
    assert load_table("nasbench-macro", "CIFAR10", original).fingerprint == macro.fingerprint
    with pytest.raises(BadInput, match=r"'nasbench201', 'nasbench-macro', .*none for 'darts'"):
        load_table("darts", "cifar10")
    with pytest.raises(BadInput, match=r"unknown data set in the NAS-Bench-Macro table 'cifar100'"):
        load("cifar100", original)


# -- the judge and the evaluator ---------------------------------------------------------------------------------------
def test_the_judge_knows_the_baseline_and_random_search_exactly(macro: Table) -> None:
    judge, held_out = TableJudge(macro), held_out_scores(macro)
    baseline = judge.baseline()
    assert (baseline.mean, baseline.n, baseline.source) == (held_out.mean(), 6_561, "table-exact")
    assert judge.random_search(1).mean == pytest.approx(held_out.mean())
    assert judge.random_search(NETWORKS).mean == pytest.approx(held_out[macro.valid_accuracy.argmax()])
    rng = np.random.default_rng(0)
    drawn = [
        max(rng.choice(NETWORKS, 20, replace=False), key=lambda row: macro.valid_accuracy[row]) for _ in range(300)
    ]
    exact: RandomSearch = judge.random_search(20)
    assert abs(held_out[drawn].mean() - exact.mean) < 4 * exact.std / 300**0.5
    final = judge.final(SPACE.parse("02012100"))
    assert final.test_accuracies == (pytest.approx((88.95 + 89.17) / 2),) and final.valid_accuracies == (89.47,)


def test_the_evaluator_tells_accuracy_parameters_and_multiply_adds(macro: Table) -> None:
    looking_up = TableEvaluator(SPACE, macro, TableEvaluator.Config())
    evaluation = looking_up.evaluate(Proposal(SPACE.parse("02012100")), id=0, seed=0)
    assert evaluation.metrics == {"valid_accuracy": 89.47, "parameters": 890_666, "macs": 47_327_744}
    with pytest.raises(BadInput, match="no measured latencies for the space 'nasbench-macro'"):
        TableEvaluator(SPACE, macro, TableEvaluator.Config(latency="raspi4"))
    with pytest.raises(BadInput, match=r"one fidelity \(the first training\)"):
        looking_up.evaluate(Proposal(SPACE.parse("00000000"), fidelity=(("epochs", 1.0),)), id=0, seed=0)


# -- two files ---------------------------------------------------------------------------------------------------------
def test_the_converted_file_has_the_same_content_and_loads_at_once(
    macro: Table, original: Path, tmp_path: Path
) -> None:
    assert is_original(original)
    converted = import_file(original, tmp_path)
    assert converted == tmp_path / FILE and converted.stat().st_size < 50_000 and not is_original(converted)
    assert np.array_equal(trainings(converted), trainings(original))
    start = time.process_time()
    again = load("cifar10", tmp_path)
    assert time.process_time() - start < 0.2
    assert again.file == converted and again.fingerprint == macro.fingerprint
    assert np.array_equal(held_out_scores(again), held_out_scores(macro))


def test_a_missing_file_says_what_it_is_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    with pytest.raises(MissingData, match=r"nas-bench-macro_cifar10\.json of xiusu/NAS-Bench-Macro"):
        load("cifar10")


# -- what is wrong -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.pop("00000000"), "6560 entries"),
        (lambda e: e.update({"00000003": e.pop("00000000")}), "networks of eight digits"),
        (lambda e: e["00000000"].pop("test_acc"), "network 00000000 has no 'test_acc'"),
        (lambda e: e["00000000"]["test_acc"].pop(), "not 3 accuracies a network"),
        (lambda e: e["00000000"].update(test_acc=[1.0, 2.0, "x"]), "not 3 accuracies a network"),
        (lambda e: e["00000000"].update(test_acc=[45.0, 45.0, 145.0]), "between 0 and 100"),
        (lambda e: e["00000000"].update(test_acc=[45.0, 45.0, float("nan")]), "between 0 and 100"),
        (lambda e: e["00000000"].update(test_acc=[45.32, 45.33, 45.45]), "checksum"),
        (lambda e: e["22222222"].update(test_acc=e["11111111"]["test_acc"]), "checksum"),
    ],
)
def test_what_is_not_the_benchmark_is_refused(changed, change, message: str, tmp_path: Path) -> None:
    file = changed(change)
    for read in (trainings, lambda file: import_file(file, tmp_path / "target")):
        with pytest.raises(BadInput, match=message):
            read(file)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("key", ["params", "flops"])
def test_an_import_checks_what_the_networks_cost(changed, key: str, tmp_path: Path) -> None:
    file = changed(lambda entries: entries["20000000"].update({key: 1}))
    with pytest.raises(BadInput, match=r"network 20000000 has .* it must have"):
        import_file(file, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("whole", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_original_is_refused(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / ORIGINAL).write_bytes(whole)
    with pytest.raises(BadInput, match=r"is damaged|0 entries"):
        load("cifar10", tmp_path)


def test_a_damaged_conversion_is_refused(original: Path, tmp_path: Path) -> None:
    file = import_file(original, tmp_path)
    whole = file.read_bytes()
    for damaged in (b"", b"PK", whole[:-30], whole[:1000], whole[:2000] + bytes([whole[2000] ^ 255]) + whole[2001:]):
        file.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"cifar10\.npz( is damaged|:)"):
            load("cifar10", tmp_path)
    for array, message in (
        (np.zeros((5, 3), int), "expected whole numbers"),
        (np.zeros((NETWORKS, 3), int), "checksum"),
    ):
        np.savez(file, correct=array)
        with pytest.raises(BadInput, match=message):
            load("cifar10", tmp_path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir()
    np.savez(file, correct=np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="is damaged"):
        load("cifar10", tmp_path)


def test_the_search_does_not_see_the_other_trainings(macro: Table, original: Path, monkeypatch) -> None:
    shuffled = trainings(original)
    shuffled[:, 1:] = np.random.default_rng(0).permutation(shuffled[:, 1:])
    monkeypatch.setattr(nasbench_macro, "trainings", lambda file: shuffled)
    again = load("cifar10", original)
    assert again.fingerprint == macro.fingerprint and np.array_equal(again.valid_accuracy, macro.valid_accuracy)
