"""The ledger: what is written comes back, a torn line is cut, anything else is refused."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Learned, Proposal
from nasbench.core.ledger import Ledger

VALUES = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.floats(allow_nan=False), st.none()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def evaluation(id: int = 0, spec: tuple = ("a", (1, 2)), **fields) -> Evaluation:
    return Evaluation(id, Proposal(Architecture("small", spec)), {"valid_accuracy": 0.1 + id}, "trained", 7, **fields)


@given(st.lists(VALUES, max_size=4).map(tuple), st.integers(0, 2**32 - 1), st.floats(0, 1e6))
def test_records_survive_json(spec: tuple, seed: int, seconds: float) -> None:
    proposal = Proposal(Architecture("s", spec), (("epochs", 3.0),), parent=4, repeat=2)
    fields = {"seconds": seconds, "weights": 3, "weights_file": "w/1.safetensors", "reuses": 0}
    record = Evaluation(5, proposal, {"valid_accuracy": 91.25}, "inherited", seed, **fields)
    restored = Evaluation.from_record(json.loads(json.dumps(record.to_record())))
    assert restored == record
    assert restored.proposal == proposal


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append(evaluation(0))
    ledger.append(Learned(0, "strategy", {"loss": 0.5}, 1.25))
    ledger.append(evaluation(1, ("b",), status="failed", error="it broke"))
    ledger.close()
    again = Ledger(tmp_path / "l.jsonl")
    assert again.evaluations == ledger.evaluations and again.units == ledger.units
    assert again.same(evaluation(0).proposal, 0) == ledger.evaluations[0]
    assert again.same(ledger.evaluations[1].proposal, 0) is None
    assert again.same(evaluation(0).proposal, 1) is None
    frame = again.frame()
    assert list(frame["valid_accuracy"]) == [0.1, 1.1] and list(frame["status"].fillna("ok")) == ["ok", "failed"]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "l.jsonl"
    ledger = Ledger(file)
    for id in range(3):
        ledger.append(evaluation(id))
    ledger.close()
    file.write_bytes(file.read_bytes()[:-cut])
    again = Ledger(file)
    assert len(again) == 2
    again.append(evaluation(2))
    again.close()
    assert len(Ledger(file)) == 3


@pytest.mark.parametrize("line", ["{}", "[]", "nonsense", '{"id": 7}', '{"unit": 0}', '{"id": 0, "architecture": 3}'])
def test_a_line_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "l.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(BadInput, match="line 1"):
        Ledger(file)


@given(st.binary(max_size=200))
def test_garbage_is_bad_input_or_a_torn_line(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    file = tmp_path_factory.mktemp("garbage") / "l.jsonl"
    file.write_bytes(garbage)
    try:
        ledger = Ledger(file)
    except BadInput:
        return
    assert len(ledger) == 0 and not file.read_bytes().strip()


def test_a_full_disk_leaves_whole_lines() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    ledger = Ledger()
    ledger._descriptor = os.open(full, os.O_WRONLY)
    with pytest.raises(OSError, match="space"):
        ledger.append(evaluation(0))
    assert len(ledger) == 0


def test_scores_that_are_not_numbers_survive(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl")
    ledger.append(Evaluation(0, evaluation().proposal, {"valid_accuracy": math.nan}, "trained", 1))
    ledger.close()
    assert math.isnan(Ledger(tmp_path / "l.jsonl").evaluations[0].metrics["valid_accuracy"])
