"""Where a training stands after some epochs: what its later part needs to be as if there had been no interruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def training_state(
    epochs: int, module: nn.Module, optimiser: torch.optim.Optimizer, generators: Mapping[str, torch.Generator]
) -> dict[str, Any]:
    """Return ``epochs``, weights and buffers, momentum, and the positions of all generators, torch's own included.

    The tensors are those of the living network, not copies: write them down before it is trained on. The tree is what
    `nasbench.core.state.save_state` takes.
    """
    weights = optimiser.param_groups[0]["params"]
    momenta = {str(i): optimiser.state.get(weight, {}).get("momentum_buffer") for i, weight in enumerate(weights)}
    positions = {name: generator.get_state() for name, generator in generators.items()}
    positions["cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        positions["cuda"] = torch.cuda.get_rng_state()
    return {
        "epochs": epochs,
        "module": dict(module.state_dict()),
        "momentum": {place: momentum for place, momentum in momenta.items() if momentum is not None},
        "generators": positions,
    }


def restore_training(
    state: Mapping[str, Any],
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    generators: Mapping[str, torch.Generator],
) -> None:
    """Put a network, a fresh optimiser and the generators where `training_state` found theirs.

    Torch's own generators are changed, too: call it inside `nasbench.networks.device.seeded`.
    """
    module.load_state_dict(state["module"])
    for place, momentum in state["momentum"].items():
        weight = optimiser.param_groups[0]["params"][int(place)]
        # In the memory order of the weight, which the fused step requires.
        optimiser.state[weight]["momentum_buffer"] = torch.empty_like(weight, requires_grad=False).copy_(momentum)
    positions = state["generators"]
    for name, generator in generators.items():
        generator.set_state(positions[name])
    torch.set_rng_state(positions["cpu"])
    if "cuda" in positions and torch.cuda.is_available():
        torch.cuda.set_rng_state(positions["cuda"])
