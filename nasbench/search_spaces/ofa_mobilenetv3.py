"""The sub-networks of the Once-for-All MobileNetV3: five stages of two to four blocks, each with a kernel and a width.

Cai, Gan, Wang, Zhang, Han, "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
arXiv 1908.09791; the blocks are those of Howard et al., "Searching for MobileNetV3", ICCV 2019.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture, Value
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.search_space import image_channels

if TYPE_CHECKING:
    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.ofa_mobilenetv3_network import OfaMobileNetV3Network

Spec = tuple[Value, ...]
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
DEPTHS = (2, 3, 4)
STAGES = 5
BLOCKS = DEPTHS[-1] * STAGES
WIDTHS = (24, 40, 80, 112, 160)
STRIDES = (2, 2, 2, 1, 2)
HARD_SWISH = (False, False, True, True, True)
SQUEEZE = (False, True, False, True, True)
STEM, LAST, FEATURES = 16, 960, 1280
RESOLUTION = 224


class OfaMobileNetV3Size(BaseModel):
    """What `OfaMobileNetV3.build` can vary: ``width`` multiplies all channels, which stay divisible by 8."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: float = Field(default=1.0, gt=0, le=4)


class Block(NamedTuple):
    """One inverted residual block: ``middle`` channels inside, ``squeeze`` channels of its squeeze-and-excitation."""

    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int
    squeeze: int | None
    hard_swish: bool


@functools.cache
def divisible(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least 8 and at least nine tenths of ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _needs(stage: int, number: int) -> Callable[[Mapping[str, Value]], bool]:
    """Return whether a stage is deep enough for its block of this number, from 1."""
    depth = f"stage{stage}.depth"

    def active(settings: Mapping[str, Value]) -> bool:
        return int(str(settings[depth])) >= number

    return active


def _block_choices(what: str, values: tuple[int, ...]) -> tuple[Choice, ...]:
    return tuple(
        Choice(f"stage{stage}.block{number}.{what}", values, group=what, active=_needs(stage, number))
        for stage in range(1, STAGES + 1)
        for number in range(1, DEPTHS[-1] + 1)
    )


class OfaMobileNetV3(DecisionSpace):
    """The sub-networks of the Once-for-All MobileNetV3. A spec holds 20 kernels, 20 expansions and 5 depths.

    Text is the authors' dictionary ``{'ks': [...], 'e': [...], 'd': [...]}``. Kernel and expansion of a block beyond
    its stage's depth decide nothing: 3^45 encodings are 7371^5 networks. `sample` is uniform over the encodings.
    """

    name = "ofa-mobilenetv3"
    decisions = (
        *_block_choices("kernel", KERNELS),
        *_block_choices("expansion", EXPANSIONS),
        *(Choice(f"stage{stage}.depth", DEPTHS, group="depth") for stage in range(1, STAGES + 1)),
    )
    Size: ClassVar[type[BaseModel] | None] = OfaMobileNetV3Size

    def format(self, architecture: Architecture) -> str:
        kernels, expansions, depths = _parts(architecture.spec)
        return str({"ks": list(kernels), "e": list(expansions), "d": list(depths)})

    def parse(self, text: str) -> Architecture:
        """Read the authors' dictionary, in which ``'wid': None`` and ``'r': [224]`` may stand, too."""
        try:
            given = json.loads(text.replace("'", '"').replace("None", "null"))
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict) or not all(isinstance(given.get(key), list) for key in ("ks", "e", "d")):
            raise BadInput(
                f"cannot read the sub-network {text[:80]!r}; expected "
                f"{{'ks': [{BLOCKS} kernels], 'e': [{BLOCKS} expansions], 'd': [{STAGES} depths]}}."
            )
        if given.keys() - {"ks", "e", "d", "wid", "r"} or given.get("wid") is not None:
            raise BadInput(f"a sub-network has ks, e and d; it cannot have: {', '.join(map(str, given))}.")
        if given.get("r", [RESOLUTION]) not in ([RESOLUTION], RESOLUTION):
            raise BadInput(f"the resolution of a sub-network is {RESOLUTION}, not {given['r']}.")
        for key, count in (("ks", BLOCKS), ("e", BLOCKS), ("d", STAGES)):
            if len(given[key]) != count:
                raise BadInput(f"'{key}' has {len(given[key])} numbers; it needs {count}.")
        spec = (*given["ks"], *given["e"], *given["d"])
        if not all(type(value) is int for value in spec):
            raise BadInput("ks, e and d of a sub-network are lists of whole numbers.")
        architecture = Architecture(self.name, spec)
        self.check(architecture)
        return architecture

    def build(
        self, architecture: Architecture, task: SearchTask, size: OfaMobileNetV3Size | None = None
    ) -> OfaMobileNetV3Network:
        """Return the stand-alone network for images [n, c, h, w] of the task's shape; it returns logits [n, classes].

        Raises BadInput if the network is none of this space or the task has no images.
        """
        from nasbench.search_spaces.ofa_mobilenetv3_network import OfaMobileNetV3Network

        channels = image_channels(self.name, task)
        width = (size or OfaMobileNetV3Size()).width
        blocks = self.blocks(architecture, width)
        return OfaMobileNetV3Network(blocks, channels, task.classes, *_outer_widths(width))

    # -- counted without building --------------------------------------------------------------------------------------
    def blocks(self, architecture: Architecture, width: float = 1.0) -> tuple[Block, ...]:
        """Return the blocks that are there, in their order; raise BadInput for a foreign architecture."""
        self.check(architecture)
        return _blocks(architecture.spec, width)

    def parameters(
        self,
        architecture: Architecture,
        classes: int = 1000,
        size: OfaMobileNetV3Size | None = None,
        *,
        input_channels: int = 3,
    ) -> int:
        """Return the number of weights of the network that `build` returns, without building it."""
        width = (size or OfaMobileNetV3Size()).width
        stem, last, features = _outer_widths(width)
        blocks = self.blocks(architecture, width)
        outer = (9 * input_channels + 2) * stem + (9 + 2) * stem + (stem + 2) * stem
        head = (blocks[-1].outputs + 2) * last + last * features + (features + 1) * classes
        return outer + sum(map(_parameters, blocks)) + head

    def macs(
        self,
        architecture: Architecture,
        classes: int = 1000,
        size: OfaMobileNetV3Size | None = None,
        *,
        input_shape: tuple[int, int, int] = (3, RESOLUTION, RESOLUTION),
    ) -> int:
        """Return the multiply-adds of convolutions and classifier for one image; all else counts nothing."""
        width = (size or OfaMobileNetV3Size()).width
        stem, last, features = _outer_widths(width)
        blocks = self.blocks(architecture, width)
        channels, *sides = input_shape
        sides = [-(-side // 2) for side in sides]
        pixels = sides[0] * sides[1]
        total = (9 * channels + 9 + stem) * stem * pixels
        for block in blocks:
            before = pixels
            sides = [-(-side // block.stride) for side in sides]
            pixels = sides[0] * sides[1]
            total += block.inputs * block.middle * before + (block.kernel**2 + block.outputs) * block.middle * pixels
            total += 2 * block.middle * (block.squeeze or 0)
        return total + blocks[-1].outputs * last * pixels + last * features + features * classes


@functools.lru_cache(maxsize=4096)
def _blocks(spec: Spec, width: float) -> tuple[Block, ...]:
    kernels, expansions, depths = _parts(spec)
    channels = divisible(STEM * width)
    blocks = []
    for stage in range(STAGES):
        outputs = divisible(WIDTHS[stage] * width)
        for number in range(depths[stage]):
            position = DEPTHS[-1] * stage + number
            middle = divisible(round(channels * expansions[position]))
            stride = STRIDES[stage] if number == 0 else 1
            squeeze = divisible(middle // 4) if SQUEEZE[stage] else None
            blocks.append(Block(channels, middle, outputs, kernels[position], stride, squeeze, HARD_SWISH[stage]))
            channels = outputs
    return tuple(blocks)


def _parts(spec: Spec) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    return spec[:BLOCKS], spec[BLOCKS : 2 * BLOCKS], spec[2 * BLOCKS :]


@functools.cache
def _outer_widths(width: float) -> tuple[int, int, int]:
    """Return the channels of the stem, of the last convolution and of the classifier's input."""
    return divisible(STEM * width), divisible(LAST * width), divisible(FEATURES * width)


def _parameters(block: Block) -> int:
    squeeze = 0 if block.squeeze is None else (2 * block.middle + 1) * block.squeeze + block.middle
    within = (block.inputs + 2 + block.kernel**2 + 2) * block.middle
    return within + squeeze + (block.middle + 2) * block.outputs
