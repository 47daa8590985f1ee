import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.errors import Diverged
from nasbench.core.evaluation import Proposal
from nasbench.core.loop import evaluate_safely
from nasbench.core.problem import SearchTask
from nasbench.datasets.augment import normalise
from nasbench.datasets.images import Images
from nasbench.evaluators.train import TrainEvaluator
from nasbench.evaluators.training import accuracy, build, build_and_train, count_parameters, learning_rates
from nasbench.evaluators.training import train_network as train
from tests.evaluators.small_networks import (
    PLAIN,
    SMALL_NET,
    Plain,
    Sized,
    TwoHeads,
    linear_network,
    random_images,
    recipe,
)


# -- the learning rate -----------------------------------------------------------------------------------------------
def test_the_cosine_per_epoch_is_that_of_torch() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=6, eta_min=0.01)
    expected = []
    for _ in range(6):
        expected += [optimiser.param_groups[0]["lr"]] * 3
        optimiser.step()
        schedule.step()
    assert learning_rates(recipe(epochs=6, learning_rate_end=0.01), steps=3) == pytest.approx(expected)


def test_the_warm_up_rises_to_the_cosine() -> None:
    rates = learning_rates(recipe(epochs=10, schedule="cosine per step", warmup_epochs=2), steps=5)
    assert len(rates) == 50
    assert rates[:11] == pytest.approx([0.1 * i / 11 for i in range(1, 12)])
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0 < rates[-1] < 0.001


# -- the loop --------------------------------------------------------------------------------------------------------
def test_training_equals_sgd_written_out() -> None:
    """Full batches of a linear model against the formulas of SGD with Nesterov momentum, decay and clipping."""
    images = random_images(30)
    r = recipe(epochs=5, batch_size=100, nesterov=True, weight_decay=0.01, gradient_clip=0.3, label_smoothing=0.1)
    module = linear_network()
    record = train(module, images, r, seed=3)

    reference = linear_network()
    weights = list(reference.parameters())
    inputs = normalise(images.images, *images.statistics())
    momenta = [torch.zeros_like(w) for w in weights]
    losses = []
    for epoch in range(5):
        loss = nn.functional.cross_entropy(reference(inputs), images.labels, label_smoothing=0.1)
        gradients = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        rate = 0.05 * (1 + math.cos(math.pi * epoch / 5))
        losses.append(loss.item())
        with torch.no_grad():
            for w, g, m in zip(weights, gradients, momenta, strict=True):
                step = g * min(1.0, 0.3 / norm) + 0.01 * w
                m.mul_(0.9).add_(step)
                w -= rate * (step + 0.9 * m)
    assert norm > 0.3  # the clipping had something to do
    assert record.losses == pytest.approx(losses, abs=1e-5)
    for mine, theirs in zip(module.parameters(), weights, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 2), (12, 4, 3), (3, 8, 1)])
def test_the_incomplete_batch_is_left_out(n: int, batch_size: int, steps: int) -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3))
    train(module, random_images(n), recipe(epochs=2, batch_size=batch_size), seed=0)
    counted = module[0].num_batches_tracked
    assert isinstance(counted, Tensor)
    assert int(counted) == 2 * steps


def test_every_epoch_has_another_order_and_another_seed_too() -> None:
    images = random_images(50)
    seen: list[list[int]] = []

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_network()

        def forward(self, x: Tensor) -> Tensor:
            distances = (x[:, None] - inputs[None]).abs().amax(dim=(2, 3, 4))
            seen.append(distances.argmin(dim=1).tolist())
            return self.inner(x)

    inputs = normalise(images.images, *images.statistics())
    for seed in (0, 1):
        train(Watch(), images, recipe(epochs=2, batch_size=50), seed)
    assert all(sorted(order) == list(range(50)) for order in seen)
    assert len({tuple(order) for order in seen}) == 4


def test_the_callers_generator_threads_and_settings_are_untouched(few: SearchTask) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.backends.cudnn.deterministic
    build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1, threads=3), seed=0)
    after = torch.get_rng_state(), torch.get_num_threads(), torch.backends.cudnn.deterministic
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_drop_path_rises_with_the_epochs(few: SearchTask) -> None:
    module, record = build_and_train(
        Sized(), Architecture("sized", ("relu",)), few, recipe(epochs=4, drop_path=0.2), seed=0
    )
    assert isinstance(module, TwoHeads)
    assert module.drop_paths == pytest.approx([0.0, 0.05, 0.1, 0.15])
    assert record.epochs == len(record.losses) == 4


def test_the_auxiliary_head_is_trained_and_not_counted(few: SearchTask) -> None:
    architecture = Architecture("sized", ("relu",))
    r = recipe(auxiliary_weight=0.4, epochs=1, weight_decay=0.0)
    start = build(Sized(), architecture, few, r, seed=0)
    module, _ = build_and_train(Sized(), architecture, few, r, seed=0)
    assert isinstance(module, TwoHeads)
    assert isinstance(start, TwoHeads)
    assert module.auxiliary is not None
    assert start.auxiliary is not None
    assert not torch.equal(module.auxiliary.weight, start.auxiliary.weight)
    without, _ = build_and_train(Sized(), architecture, few, recipe(epochs=1, weight_decay=0.0), seed=0)
    assert isinstance(without, TwoHeads)
    assert without.auxiliary is None
    assert count_parameters(module) == count_parameters(without) == sum(p.numel() for p in without.parameters())
    assert not torch.equal(module.body.weight, without.body.weight)  # its gradient reached the body


def test_on_epoch_sees_every_loss(few: SearchTask) -> None:
    calls: list[tuple[int, float]] = []
    _, record = build_and_train(
        Plain(), SMALL_NET, few, PLAIN, seed=0, on_epoch=lambda epoch, loss: calls.append((epoch, loss))
    )
    assert calls == list(enumerate(record.losses, start=1))


def test_inputs_are_normalised_by_the_training_part_whatever_is_trained_on(few: SearchTask) -> None:
    brighter = Images(few.train.images // 2 + 120, few.train.labels)
    _, record = build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1), seed=0, data=brighter)
    mean, std = few.train.statistics()
    assert torch.equal(record.mean_std[0], mean)
    assert torch.equal(record.mean_std[1], std)
    assert not torch.equal(brighter.statistics()[0], mean)
    _, usual = build_and_train(Plain(), SMALL_NET, few, recipe(epochs=1), seed=0)
    assert usual.losses != record.losses


@pytest.mark.parametrize("broken", [lambda x: x * math.nan, lambda x: x * 1e4])
def test_a_loss_that_is_not_finite_or_far_above_guessing_ends_the_training(broken: Callable[[Tensor], Tensor]) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_network()

        def forward(self, x: Tensor) -> Tensor:
            return broken(self.inner(x))

    with pytest.raises(Diverged, match="loss was"):
        train(Broken(), random_images(30), recipe(batch_size=10, learning_rate=1e-9), seed=0)


def test_a_mad_learning_rate_is_a_failed_evaluation(few: SearchTask) -> None:
    evaluator = TrainEvaluator(Plain(), few, recipe(learning_rate=1e6))
    with pytest.raises(Diverged):
        evaluator.evaluate(Proposal(SMALL_NET), id=0, seed=1)
    failed = evaluate_safely(evaluator, Proposal(SMALL_NET), 0, 1)
    assert failed.status == "failed"
    assert failed.metrics == {}
    assert "loss" in (failed.error or "")


def test_accuracy_counts_every_image() -> None:
    class Brightness(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(x)), x.mean(dim=(1, 2, 3))], dim=1)

    pixels = torch.tensor([0, 10, 200, 255, 220, 5, 250], dtype=torch.uint8)[:, None, None, None].expand(7, 1, 2, 2)
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 0])
    images = Images(pixels.contiguous(), labels)
    statistics = torch.tensor([0.5]), torch.tensor([0.25])
    module = Brightness().train()
    for batch_size in (2, 7, 512):
        assert accuracy(module, images, statistics, batch_size) == pytest.approx(100 * 5 / 7)
    assert not module.training
