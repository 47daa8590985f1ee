"""How fast small networks train: our loop, variations of it, and the usual loop on a DataLoader.

Run with ``python -m benchmarks.training_speed`` (a minute or two on two cores). All loops train the same random DARTS
networks with the same recipe, on one thread but for the last. Images per second of the clock are what one waits for and
depend on what else the machine does; images per second of processor time hardly do. Gains are in processor time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from nasbench.core.problem import SearchTask
from nasbench.datasets.images import Images
from nasbench.evaluators.recipe import RECIPES, Recipe
from nasbench.evaluators.training import build, train_network
from nasbench.networks import device as settings
from nasbench.search_spaces.darts import Darts

ARCHITECTURES = 4
STEPS = {"digits": 8, "small": 2}


class PerImage(Dataset[tuple[Tensor, int]]):
    """Images one by one, each augmented on its own: what a training script usually does."""

    def __init__(self, images: Images, recipe: Recipe) -> None:
        self.images, self.recipe = images, recipe
        mean, std = images.statistics()
        self.mean, self.std = mean[:, None, None], std[:, None, None]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, padding = self.images.images[index].float() / 255, self.recipe.crop_padding
        if padding:
            row, column = torch.randint(2 * padding + 1, (2,)).tolist()
            height, width = image.shape[1:]
            padded = functional.pad(image, (padding,) * 4)
            image = padded[:, row : row + height, column : column + width]
        if self.recipe.flip and torch.rand(()) < 0.5:
            image = image.flip(2)
        return (image - self.mean) / self.std, int(self.images.labels[index])


def usual_loop(module: nn.Module, images: Images, recipe: Recipe) -> None:
    """One epoch as most scripts have it: a DataLoader, a transfer and a read-back of the loss in every step."""
    loader = DataLoader(PerImage(images, recipe), recipe.batch_size, shuffle=True, drop_last=True)
    place = settings.device()
    module.to(place).train()
    optimiser = torch.optim.SGD(
        module.parameters(), recipe.learning_rate, recipe.momentum, 0.0, recipe.weight_decay, recipe.nesterov
    )
    total = 0.0
    with settings.threads(recipe.threads):
        for pixels, labels in loader:
            optimiser.zero_grad()
            loss = functional.cross_entropy(module(pixels.to(place)), labels.to(place))
            torch.autograd.backward(loss)
            if recipe.gradient_clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), recipe.gradient_clip)
            optimiser.step()
            total += loss.item()


def our_loop(module: nn.Module, images: Images, recipe: Recipe) -> None:
    train_network(module, images, recipe, seed=0, epochs=1)


def our_loop_without_channels_last(module: nn.Module, images: Images, recipe: Recipe) -> None:
    with default_layout():
        our_loop(module, images, recipe)


@contextmanager
def default_layout() -> Iterator[None]:
    """Keep everything in torch's default memory layout."""
    prepare, to_device = settings.prepare, settings.to_device
    settings.prepare = lambda module: module.to(settings.device())
    settings.to_device = lambda batch: batch.to(settings.device())
    try:
        yield
    finally:
        settings.prepare, settings.to_device = prepare, to_device


def our_loop_on_two_threads(module: nn.Module, images: Images, recipe: Recipe) -> None:
    our_loop(module, images, recipe.model_copy(update={"threads": 2}))


LOOPS: dict[str, Callable[[nn.Module, Images, Recipe], None]] = {
    "DataLoader, per image": usual_loop,
    "ours, default layout": our_loop_without_channels_last,
    "ours": our_loop,
    "ours, two threads": our_loop_on_two_threads,
}


def random_task(shape: tuple[int, int, int], n: int) -> SearchTask:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
    images = Images(pixels, torch.arange(n) % 10)
    return SearchTask("random", "image", shape, 10, images, images, "random")


def measure(recipe: Recipe, shape: tuple[int, int, int], steps: int) -> dict[str, list[tuple[float, float]]]:
    """Return for every loop and architecture the images per second of the clock and of processor time.

    Loops alternate, so that slow minutes of the machine hit all of them alike.
    """
    task, space = random_task(shape, steps * recipe.batch_size), Darts()
    warm_up = task.train.subset(torch.arange(recipe.batch_size))
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in LOOPS}
    for architecture in (space.sample(np.random.default_rng(i)) for i in range(ARCHITECTURES)):
        for name, loop in LOOPS.items():
            module = build(space, architecture, task, recipe, seed=0)
            loop(module, warm_up, recipe)
            clock, processor = time.perf_counter(), time.process_time()
            loop(module, task.train, recipe)
            seconds, work = time.perf_counter() - clock, time.process_time() - processor
            rates[name].append((len(task.train) / seconds, len(task.train) / work))
    return rates


def main() -> None:
    print(f"{settings.device()}, torch {torch.__version__}, median of {ARCHITECTURES} random DARTS networks")
    print(f"{'recipe':8} {'loop':24} {'images/s':>9} {'images/processor s':>19} {'ours gains':>11}")
    for name, shape in (("digits", (1, 8, 8)), ("small", (3, 32, 32))):
        rates = measure(RECIPES[name], shape, STEPS[name])
        for loop, values in rates.items():
            clock, work = (statistics.median(column) for column in zip(*values, strict=True))
            gain = statistics.median(ours[1] / theirs[1] for ours, theirs in zip(rates["ours"], values, strict=True))
            print(f"{name:8} {loop:24} {clock:9.0f} {work:19.0f} {gain:10.2f}x", flush=True)


if __name__ == "__main__":
    main()
