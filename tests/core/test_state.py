"""State trees on disk: exact, atomic, and damage is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench.core.errors import BadInput
from nasbench.core.seeding import generator, generator_state, restore_generator
from nasbench.core.state import load_state, save_state

STATE = {
    "numbers": [1, 2.5, 1e-300, -0.0, 2**130, float("inf"), True, None, "text"],
    "nested": {"a": {"b": [[1], {"c": "d"}]}},
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
}


def test_plain_data_and_arrays_come_back_exactly(tmp_path: Path) -> None:
    save_state(tmp_path / "s.json", STATE)
    restored = load_state(tmp_path / "s.json")
    assert restored["numbers"] == STATE["numbers"] and restored["nested"] == STATE["nested"]
    assert restored["array"].dtype == np.float32 and np.array_equal(restored["array"], STATE["array"])


def test_tensors_come_back_exactly_also_half_precision_and_shared_memory(tmp_path: Path) -> None:
    weights = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    state = {"w": weights, "view": weights.T, "half": weights.to(torch.bfloat16), "array": np.ones(2), "flag": True}
    save_state(tmp_path / "s.json", state)
    restored = load_state(tmp_path / "s.json")
    for name in ("w", "view", "half"):
        assert torch.equal(restored[name], state[name]) and restored[name].dtype == state[name].dtype
    assert isinstance(restored["array"], np.ndarray) and restored["flag"] is True


def test_a_generator_goes_on_exactly(tmp_path: Path) -> None:
    rng = generator(3, "strategy")
    rng.random(17)
    save_state(tmp_path / "s.json", {"rng": generator_state(rng)})
    other = generator(0, "x")
    restore_generator(other, load_state(tmp_path / "s.json")["rng"])
    assert rng.random(5).tolist() == other.random(5).tolist()


def test_generators_of_other_names_and_seeds_differ() -> None:
    draws = {tuple(generator(seed, name).random(2)) for seed in (0, 1) for name in ("strategy", "evaluator")}
    assert len(draws) == 4


def test_every_single_changed_byte_is_noticed(tmp_path: Path) -> None:
    save_state(tmp_path / "s.json", {"population": [1.5, 2.5], "array": np.arange(3.0)})
    for file in (tmp_path / "s.json", tmp_path / "s.safetensors"):
        original = file.read_bytes()
        for position in range(0, len(original), 7):
            changed = bytearray(original)
            changed[position] ^= 1
            file.write_bytes(bytes(changed))
            with pytest.raises(BadInput):
                load_state(tmp_path / "s.json")
        file.write_bytes(original)
    load_state(tmp_path / "s.json")


def test_truncated_missing_or_foreign_files_are_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    save_state(file, {"a": 1, "t": np.ones(1)})
    text = file.read_bytes()
    for content in (b"", text[:20], b"[]", b"null", b'{"sha256": 3}', text.replace(b'"a": 1', b'"a": 2')):
        file.write_bytes(content)
        with pytest.raises(BadInput, match="damaged or was changed"):
            load_state(file)
    file.write_bytes(text)
    (tmp_path / "s.safetensors").unlink()
    with pytest.raises(BadInput, match="damaged"):
        load_state(file)


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="at '/a/0'"):
        save_state(tmp_path / "s.json", {"a": [object()]})
    with pytest.raises(TypeError, match="must be strings"):
        save_state(tmp_path / "s.json", {"a": {1: 2}})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path / "s.json", {"a": 1})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_state(tmp_path / "s.json", {"a": 2})
    assert load_state(tmp_path / "s.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_format_number_is_checked(tmp_path: Path) -> None:
    import hashlib

    body = {"format": 99, "state": {}, "tensors": None}
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    (tmp_path / "s.json").write_text(json.dumps({**body, "sha256": digest}))
    with pytest.raises(BadInput, match="format 99"):
        load_state(tmp_path / "s.json")
