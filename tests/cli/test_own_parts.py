"""A user's own space, strategy, evaluator and data, right and slightly wrong, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nasbench
from tests.cli.conftest import TINY, one_line

EPOCH = ["--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0", "--seeds", "2", "--baseline-size", "3"]
PARTS = """
import numpy as np
from torch import nn
from nasbench import Architecture, Choice, DecisionSpace, Evaluation, Proposal, Strategy, StrategyConfig

class Half(DecisionSpace):
    '''Half of its networks cannot be built.'''
    name = "half"
    decisions = (Choice("works", (True, False)), Choice("width", (2, 4, 6, 8)))
    def build(self, a, task, size=None):
        pick = self.choices(a)
        if not pick["works"]:
            raise RuntimeError("this network cannot be built")
        w = pick["width"]
        return nn.Sequential(nn.Flatten(), nn.Linear(64, w), nn.ReLU(), nn.Linear(w, task.classes))

class Whole(Half):
    name = "whole"
    decisions = (Choice("works", (True,)), Choice("width", (2, 4, 6, 8)))

class Abstract(DecisionSpace):
    name = "abstract"
    decisions = Half.decisions

class Nameless(Half):
    name = None

class Scores:
    source, version, fingerprint, value = "trained", 0, "scores", 50.0
    def __init__(self, space, task, recipe, config=None): pass
    def evaluate(self, proposal, *, id, seed):
        return Evaluation(id, proposal, {"valid_accuracy": self.value}, self.source, seed)

class Float32(Scores):
    value = np.float32(50)

class Text(Scores):
    value = "good"

class WrongId(Scores):
    def evaluate(self, proposal, *, id, seed):
        return super().evaluate(proposal, id=id + 1, seed=seed)

class Nothing(Scores):
    def evaluate(self, proposal, *, id, seed): ...

class Once(Strategy):
    '''Asks for three, recommends one that was never scored.'''
    class Config(StrategyConfig):
        need: int
    done = False
    def ask(self):
        asked, self.done = self.done, True
        return [] if asked else [Proposal(Architecture("whole", (True, w))) for w in (2, 4, 6)]
    def tell(self, evaluations): ...
    def recommend(self, k=1): return [Architecture("whole", (True, 8))]
    def state_dict(self): return {"done": self.done}
    def load_state_dict(self, state): self.done = state["done"]

class Silent(Once):
    Config = StrategyConfig
    def recommend(self, k=1): return None

class Bare(Silent):
    def ask(self): return [p.architecture for p in super().ask()]
"""


@pytest.fixture
def parts(cli):
    Path("own_parts.py").write_text(PARTS)
    return cli


def test_a_random_architecture_that_cannot_be_built_counts_at_chance(parts) -> None:
    said = parts(
        "search", "--space", "own_parts:Half", "--evaluations", 8, *EPOCH, "--baseline-size", 8, "--out", "r", "--json"
    )
    assert said.code == 0, said.err
    result = json.loads(Path("r/result.json").read_text())
    failures = result["baseline"]["failures"]
    assert 0 < len(failures) < 8 and "cannot be built" in failures[0]
    assert result["baseline"]["scores"].count(10.0) >= len(failures)


def test_an_own_evaluator_is_used_and_numpy_numbers_are_numbers(parts) -> None:
    for name in ("Scores", "Float32"):
        options = ["--space", "own_parts:Whole", "--strategy", "random", "--evaluations", 3, *EPOCH]
        said = parts("search", *options, "--evaluator", f"own_parts:{name}", "--out", name, "--json")
        assert said.code == 0, said.err
        assert said.json["evaluator"] == f"own_parts:{name}"
        assert json.loads(Path(name, "result.json").read_text())["random_curve"] is None
    assert parts("search", *options, "--evaluator", "own_parts:Scores", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--evaluator", "Text", "must be a dictionary of numbers"),
        ("--evaluator", "WrongId", "asked for evaluation 0"),
        ("--evaluator", "Nothing", "returned NoneType"),
        ("--evaluator", "PARTS", "no 'PARTS'"),
        ("--space", "Abstract", "cannot be built"),
        ("--space", "Nameless", "has no name"),
        ("--strategy", "Bare", "must return a list of Proposal"),
        ("--strategy", "Once", "strategy.need: field required"),
    ],
)
def test_parts_that_are_slightly_wrong_get_one_line(parts, option: str, name: str, message: str) -> None:
    options = {"--space": "own_parts:Whole", "--strategy": "random", "--evaluations": 3, "--out": "run"}
    options |= {option: f"own_parts:{name}"}
    said = parts("search", *[text for pair in options.items() for text in pair], *EPOCH)
    one_line(said, 2, message if name != "PARTS" else "unknown evaluator")


def test_what_was_never_scored_can_be_recommended(parts) -> None:
    options = ["--space", "own_parts:Whole", "--evaluator", "own_parts:Scores", "--evaluations", 3, *EPOCH]
    said = parts("search", *options, "--strategy", "own_parts:Once", "--set", "need=3", "--out", "r", "--json")
    assert said.code == 0, said.err
    assert said.json["architecture"] == "works=True, width=8"
    assert said.json["metrics"]["search_valid_accuracy"] is None and said.json["metrics"]["parameters"] > 0
    said = parts("search", *options, "--strategy", "own_parts:Silent", "--out", "s")
    one_line(said, 1, "the strategy recommends nothing, although 3 candidates succeeded")


def test_a_changed_module_is_another_run_with_a_folder_of_its_own(parts) -> None:
    options = [
        "--space",
        "own_parts:Whole",
        "--evaluator",
        "own_parts:Scores",
        "--evaluations",
        2,
        *EPOCH,
        "--dry-run",
        "--json",
    ]
    first = parts("search", *options).json["run"]
    assert parts("search", *options).json["run"] == first
    Path("own_parts.py").write_text(PARTS + "# changed\n")
    assert parts("search", *options).json["run"] != first


def test_a_run_is_resumed_and_loaded_from_another_folder(parts, tmp_path: Path, monkeypatch) -> None:
    options = ["--space", "own_parts:Whole", "--strategy", "random", "--evaluations", 2, *EPOCH]
    said = parts("search", *options, "--out", "run", "--json")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resumed = parts("search", "--resume", "--out", tmp_path / "run", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["run"] == str(tmp_path / "run")
    assert {**resumed.json, "run": ""} == {**said.json, "run": ""}
    assert nasbench.load(tmp_path / "run") is not None


def test_a_module_may_be_named_by_its_path(parts, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "placed_parts.py").write_text(PARTS)
    for name in ("./deep/placed_parts.py:Whole", f"{tmp_path}/deep/placed_parts.py:Whole"):
        said = parts("search", "--space", name, "--evaluations", 2, *EPOCH, "--dry-run", "--json")
        assert said.code == 0, said.err
    one_line(parts("search", "--space", "./deep/nothing.py:Whole"), 2, "there is no file deep/nothing.py")
    Path("leaves.py").write_text("raise SystemExit(7)")
    one_line(parts("search", "--space", "leaves:Space"), 2, "importing it failed: SystemExit(7)")


def test_the_curve_of_random_search_is_drawn_only_for_the_whole_recipe(cli) -> None:
    for options, drawn in (([], True), (["--set", "evaluator.epochs=1"], False), (["--set", "repeats=2"], False)):
        out = f"run{len(options)}{options[-1:]}"
        assert cli("search", *TINY, "--set", "recipe.final_data=train", *options, "--out", out).code == 0
        assert (json.loads(Path(out, "result.json").read_text())["random_curve"] is not None) == drawn


def test_the_model_is_that_of_the_first_training_that_succeeds(cli, monkeypatch) -> None:
    from nasbench.core.errors import Diverged
    from nasbench.evaluators import training

    real, asked = training.build_and_train, []

    def fails_first(space, architecture, task, recipe, seed, **options):
        if options.get("data") is not None and "final" in asked:
            asked.remove("final")
            raise Diverged("the loss was nan")
        return real(space, architecture, task, recipe, seed, **options)

    monkeypatch.setattr(training, "build_and_train", fails_first)
    assert cli("baseline", *TINY, "--set", "recipe.split_seed=7").code == 0
    asked.append("final")
    said = cli("search", *TINY, "--set", "recipe.split_seed=7", "--out", "run")
    assert said.code == 0, said.err
    assert json.loads(Path("run/result.json").read_text())["final"]["test_accuracies"][0] == 10.0
    assert nasbench.load("run") is not None
