from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.state import load_state, save_state
from nasbench.evaluators.train import TrainConfig, TrainEvaluator
from nasbench.evaluators.training import train_network as train
from nasbench.networks import device as settings
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.nasbench201 import NasBench201
from tests.evaluators.small_networks import PLAIN, SMALL_NET, Plain, random_images, recipe


class Restless(nn.Module):
    """Has all that a training in parts must restore: channels-last weights, statistics, dropout, an unused weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(20, 3))
        self.unused = nn.Parameter(torch.ones(2))
        self.drop_paths: list[float] = []

    def set_drop_path(self, probability: float) -> None:
        self.drop_paths.append(probability)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.body(x))
        return output


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("schedule", ["cosine per step", "cosine per epoch"])
def test_a_training_in_parts_equals_one_in_one_go_to_the_last_bit(
    momentum: float, schedule: str, tmp_path: Path
) -> None:
    images = random_images(50)
    r = recipe(epochs=5, batch_size=16, momentum=momentum, schedule=schedule, warmup_epochs=1.5, drop_path=0.3)
    r = r.model_copy(update={"crop_padding": 1, "flip": True, "cutout": 1})

    def fresh() -> Restless:
        with settings.seeded(4):
            return Restless()

    whole = fresh()
    expected = train(whole, images, r, seed=3)
    losses, state, drop_paths = [], None, []
    for stop in (1, 3, 4, 5):
        module = fresh()
        record = train(module, images, r, seed=3, stop=stop, state=state)
        save_state(tmp_path / "state.json", record.state)
        state = load_state(tmp_path / "state.json")
        losses += record.losses
        drop_paths += module.drop_paths
        assert (record.epochs, state["epochs"]) == (stop, stop)
    assert losses == expected.losses
    assert drop_paths == whole.drop_paths
    assert module.state_dict().keys() == whole.state_dict().keys()
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in module.state_dict().items())
    last = expected.state
    assert last["momentum"].keys() == state["momentum"].keys() and bool(last["momentum"]) == (momentum > 0)
    assert all(torch.equal(value, state["momentum"][place]) for place, value in last["momentum"].items())
    assert all(torch.equal(value, state["generators"][name]) for name, value in last["generators"].items())


@pytest.mark.parametrize("space", [Darts(), NasBench201()], ids=["darts", "nasbench201"])
def test_built_in_spaces_go_on_to_the_last_bit(space: DecisionSpace, few: SearchTask, tmp_path: Path) -> None:
    r = recipe(channels=4, cells=3, drop_path=0.2, crop_padding=1, flip=True, cutout=2, schedule="cosine per step")
    architecture = space.sample(np.random.default_rng(1))
    evaluator = TrainEvaluator(space, few, r, TrainConfig(repeats=2))
    evaluator.store_in(tmp_path)

    def evaluate(epochs: float, id: int, parent: int | None) -> Evaluation:
        fidelity = (("epochs", epochs), ("schedule_epochs", 3.0))
        return evaluator.evaluate(Proposal(architecture, fidelity, parent), id=id, seed=5)

    first = evaluate(1.0, 0, None)
    assert first.weights_file == "weights/000000000.safetensors" and (tmp_path / first.weights_file).exists()
    continued = evaluate(3.0, 1, 0)
    evaluator.forget(2)
    assert continued.weights_file is None and list(tmp_path.iterdir()) == []
    anew = evaluate(3.0, 2, 0)  # what it would have gone on from is deleted
    assert anew.metrics == continued.metrics
    assert anew.metrics == evaluator.evaluate(Proposal(architecture, (("epochs", 3.0),)), id=3, seed=5).metrics
    squeezed = TrainEvaluator(space, few, r, TrainConfig(epochs=1, repeats=2))
    alone = squeezed.evaluate(Proposal(architecture), id=0, seed=5)
    assert alone.metrics["train_loss"] != first.metrics["train_loss"]  # one epoch of one is not the first of three


def test_only_the_same_training_is_gone_on_with_and_a_changed_file_is_refused(few: SearchTask, tmp_path: Path) -> None:
    evaluator = TrainEvaluator(Plain(), few, PLAIN)
    evaluator.store_in(tmp_path)

    def evaluate(a: Architecture, epochs: float, id: int, parent: int | None = None, seed: int = 1) -> Evaluation:
        return evaluator.evaluate(Proposal(a, (("epochs", epochs), ("schedule_epochs", 4.0)), parent), id=id, seed=seed)

    evaluate(SMALL_NET, 2.0, 0)
    other = Architecture("plain", (8, 3, "relu"))
    for proposal in [(other, 3.0), (SMALL_NET, 2.0), (SMALL_NET, 1.0)]:
        assert evaluate(*proposal, id=1, parent=0).metrics == evaluate(*proposal, id=2).metrics
    assert evaluate(SMALL_NET, 3.0, 1, 0, seed=2).metrics == evaluate(SMALL_NET, 3.0, 2, seed=2).metrics
    file = tmp_path / "weights" / "000000000.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(BadInput, match="damaged or was changed"):
        evaluate(SMALL_NET, 3.0, 1, 0)


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        ((("epochs", 5.0), ("schedule_epochs", 4.0)), r"'epochs' \(5\) must not exceed 'schedule_epochs' \(4\)"),
        ((("epochs", 1.0), ("schedule_epochs", 0.5)), "whole number"),
    ],
)
def test_a_schedule_is_not_shorter_than_what_is_trained(few: SearchTask, fidelity: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        TrainEvaluator(Plain(), few, PLAIN).evaluate(Proposal(SMALL_NET, fidelity), id=0, seed=0)
