"""Small spaces, networks and images that tests of the training of images share."""

import math

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.problem import SearchTask
from nasbench.datasets.images import Images
from nasbench.evaluators.recipe import Recipe


class Plain(DecisionSpace):
    """Two convolutions and a linear layer: a space as a user writes it."""

    name = "plain"
    decisions = (Choice("width", (8, 16)), Choice("kernel", (3, 5)), Choice("act", ("relu", "gelu")))

    def build(self, a: Architecture, task: SearchTask, size: object = None) -> nn.Module:
        pick = self.choices(a)
        width, kernel, act = pick["width"], pick["kernel"], {"relu": nn.ReLU, "gelu": nn.GELU}[pick["act"]]
        layers: list[nn.Module] = []
        for inputs in (task.input_shape[0], width):
            layers += [nn.Conv2d(inputs, width, kernel, 2, kernel // 2), nn.BatchNorm2d(width), act()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 4, task.classes))


class WidthSize(BaseModel):
    channels: int = 4
    auxiliary: bool = False


class Sized(DecisionSpace):
    """A space whose Size has channels and an auxiliary head, and no cells."""

    name = "sized"
    decisions = (Choice("act", ("relu", "gelu")),)
    Size = WidthSize

    def build(self, a: Architecture, task: SearchTask, size: WidthSize | None = None) -> nn.Module:
        return TwoHeads(math.prod(task.input_shape), task.classes, size or WidthSize())


class TwoHeads(nn.Module):
    def __init__(self, inputs: int, classes: int, size: WidthSize) -> None:
        super().__init__()
        self.body = nn.Linear(inputs, size.channels)
        self.head = nn.Linear(size.channels, classes)
        self.auxiliary = nn.Linear(size.channels, classes) if size.auxiliary else None
        self.drop_paths: list[float] = []

    def set_drop_path(self, probability: float) -> None:
        self.drop_paths.append(probability)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = torch.relu(self.body(x.flatten(1)))
        if self.training and self.auxiliary is not None:
            return self.head(features), self.auxiliary(features)
        return self.head(features)


def linear_network() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def random_images(n: int, shape: tuple[int, int, int] = (3, 2, 2), classes: int = 3, seed: int = 1) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % classes)


PLAIN = Recipe(
    name="plain",
    epochs=4,
    batch_size=64,
    learning_rate=0.1,
    drop_path=0.0,
    auxiliary_weight=0.0,
    channels=None,
    cells=None,
    crop_padding=0,
    flip=False,
    cutout=0,
)
SMALL_NET = Architecture("plain", (16, 3, "relu"))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(PLAIN.model_dump() | changes)
