"""The search space of NAS-Bench-Macro: a chain of eight choice blocks, three operations each, 6,561 networks.

Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021, arXiv 2103.11922.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace, chain_graph
from nasbench.core.errors import BadInput
from nasbench.core.search_space import image_channels

if TYPE_CHECKING:
    import networkx as nx

    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.nasbench_macro_network import NasBenchMacroNetwork

OPERATIONS = ("identity", "mb3_k3", "mb6_k5")
"""In the order of the benchmark's digits: nothing, MobileNetV2 block of expansion 3 and kernel 3, of 6 and 5."""

EXPANSION_AND_KERNEL = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}
STAGES = (2, 3, 3)
"""Blocks of each stage; the first of each halves height and width and doubles the channels."""

BLOCKS = sum(STAGES)


class NasBenchMacroSize(BaseModel):
    """What `NasBenchMacro.build` can vary; the defaults are those of the benchmark.

    ``width`` is the number of channels of the stem, ``features`` that of the last convolution.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(default=32, ge=1)
    features: int = Field(default=1280, ge=1)


class Block(NamedTuple):
    """One choice block; an identity that changes the shape is a 1x1 convolution with batch norm, any other nothing."""

    operation: str
    inputs: int
    outputs: int
    stride: int

    @property
    def vanishes(self) -> bool:
        return self.operation == "identity" and self.stride == 1 and self.inputs == self.outputs


class NasBenchMacro(DecisionSpace):
    """The networks of NAS-Bench-Macro. A spec holds the operation of each block; text is the benchmark's eight digits.

    `sample` is uniform over the 6,561 encodings.
    """

    name = "nasbench-macro"
    decisions = tuple(
        Choice(f"block{stage}.{number}", OPERATIONS, group=f"stage{stage}")
        for stage, count in enumerate(STAGES, start=1)
        for number in range(1, count + 1)
    )
    task_kinds: ClassVar[tuple[str, ...]] = ("image",)
    Size: ClassVar[type[BaseModel] | None] = NasBenchMacroSize

    @classmethod
    def all(cls) -> list[Architecture]:
        """Return the 6,561 networks in the order of their digits."""
        return [Architecture(cls.name, spec) for spec in itertools.product(OPERATIONS, repeat=BLOCKS)]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the first encoding, in the order of `all`, of the same network (3,969 of them).

        After the first block of a stage an identity is nothing at all, so where it stands does not matter. All
        encodings of one network have the same accuracies in the benchmark.
        """
        self.check(architecture)
        spec, start = list(architecture.spec), 0
        for count in STAGES:
            spec[start + 1 : start + count] = sorted(
                spec[start + 1 : start + count], key=lambda name: name != "identity"
            )
            start += count
        return Architecture(self.name, tuple(spec))

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain of the blocks that compute something; ``op`` names operation, channels and stride."""
        return chain_graph(
            [f"{b.operation} {b.inputs}->{b.outputs} /{b.stride}" for b in self.blocks(architecture) if not b.vanishes]
        )

    def format(self, architecture: Architecture) -> str:
        """Write the benchmark's eight digits, such as ``02012100``."""
        return "".join(str(OPERATIONS.index(str(operation))) for operation in architecture.spec)

    def parse(self, text: str) -> Architecture:
        digits = text.strip()
        if len(digits) != BLOCKS or set(digits) - set("012"):
            raise BadInput(
                f"cannot read the network {text[:80]!r}; expected {BLOCKS} digits, one a block: "
                + ", ".join(f"{digit} {operation}" for digit, operation in enumerate(OPERATIONS))
                + "."
            )
        return Architecture(self.name, tuple(OPERATIONS[int(digit)] for digit in digits))

    def build(
        self, architecture: Architecture, task: SearchTask, size: NasBenchMacroSize | None = None
    ) -> NasBenchMacroNetwork:
        """Return the benchmark's network for images [n, c, h, w] of the task's shape; it returns logits [n, classes].

        Raises BadInput if the network is none of this space or the task has no images.
        """
        from nasbench.search_spaces.nasbench_macro_network import NasBenchMacroNetwork

        channels = image_channels(self.name, task)
        size = size or NasBenchMacroSize()
        return NasBenchMacroNetwork(self.blocks(architecture, size), channels, task.classes, size.features)

    # -- counted without building --------------------------------------------------------------------------------------
    def blocks(self, architecture: Architecture, size: NasBenchMacroSize | None = None) -> list[Block]:
        """Return the eight blocks with their channels and strides; raise BadInput for a foreign architecture."""
        self.check(architecture)
        channels = (size or NasBenchMacroSize()).width
        operations, blocks = iter(architecture.spec), []
        for count in STAGES:
            for number in range(count):
                first = number == 0
                blocks.append(Block(str(next(operations)), channels, channels * (1 + first), 1 + first))
                channels = blocks[-1].outputs
        return blocks

    def parameters(
        self,
        architecture: Architecture,
        classes: int = 10,
        size: NasBenchMacroSize | None = None,
        *,
        input_channels: int = 3,
    ) -> int:
        """Return the number of weights of the network that `build` returns, without building it."""
        size = size or NasBenchMacroSize()
        blocks = self.blocks(architecture, size)
        body = sum(_parameters(block) for block in blocks)
        head = (blocks[-1].outputs + 2) * size.features + (size.features + 1) * classes
        return (9 * input_channels + 2) * size.width + body + head

    def macs(
        self,
        architecture: Architecture,
        classes: int = 10,
        size: NasBenchMacroSize | None = None,
        *,
        input_shape: tuple[int, int, int] = (3, 32, 32),
    ) -> int:
        """Return the multiply-adds of the convolutions and of the classifier for one image.

        This is what the benchmark's file calls FLOPs: a multiplication and an addition count as one.
        """
        size = size or NasBenchMacroSize()
        channels, height, width = input_shape
        total = 9 * channels * size.width * height * width
        blocks = self.blocks(architecture, size)
        for block in blocks:
            before = height * width
            height, width = -(-height // block.stride), -(-width // block.stride)
            total += _macs(block, before, height * width)
        return total + blocks[-1].outputs * size.features * height * width + size.features * classes


def _parameters(block: Block) -> int:
    if block.operation == "identity":
        return 0 if block.vanishes else (block.inputs + 2) * block.outputs
    expansion, kernel = EXPANSION_AND_KERNEL[block.operation]
    middle = expansion * block.inputs
    return (block.inputs + 2 + kernel * kernel + 2) * middle + (middle + 2) * block.outputs


def _macs(block: Block, before: int, after: int) -> int:
    """Count a block's multiply-adds; ``before`` and ``after`` are the pixels of its input and of its output."""
    if block.operation == "identity":
        return 0 if block.vanishes else block.inputs * block.outputs * after
    expansion, kernel = EXPANSION_AND_KERNEL[block.operation]
    middle = expansion * block.inputs
    return block.inputs * middle * before + (kernel * kernel + block.outputs) * middle * after
