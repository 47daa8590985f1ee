"""When to stop a differentiable search: by the curvature of the validation loss, or by the skips it has chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from nasbench.core.errors import Diverged
from nasbench.strategies.differentiable.measures import SKIP


def dominant_eigenvalue(
    loss: Callable[[Mapping[str, Tensor]], Tensor],
    alpha: Mapping[str, Tensor],
    generator: torch.Generator,
    *,
    iterations: int = 50,
    tolerance: float = 1e-4,
) -> float:
    """Return the largest eigenvalue of the Hessian of ``loss`` at ``alpha``, over all its tensors together.

    Zela et al., RobustDARTS, ICLR 2020: a rise of this number foretells bad architectures. Exact Hessian-vector
    products, each one pass backward through the gradient, at most ``iterations`` of them; fewer where the eigenvalue is
    known to ``tolerance`` of the largest magnitude. Raise Diverged if a product is not finite.
    """
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in alpha.items()}
    values = list(leaves.values())
    gradient = _flat_gradient(loss(leaves), values, create_graph=True)
    if not gradient.requires_grad:  # a loss linear in alpha
        return 0.0
    start = torch.randn(len(gradient), generator=generator, device=generator.device, dtype=gradient.dtype)

    def hessian_times(vector: Tensor) -> Tensor:
        return _flat_gradient(gradient @ vector, values)

    return _largest_eigenvalue(hessian_times, start.to(gradient.device), iterations, tolerance)


def _flat_gradient(value: Tensor, leaves: list[Tensor], *, create_graph: bool = False) -> Tensor:
    parts = torch.autograd.grad(
        value, leaves, retain_graph=True, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return torch.cat([part.flatten() for part in parts])


def _largest_eigenvalue(times: Callable[[Tensor], Tensor], start: Tensor, iterations: int, tolerance: float) -> float:
    """Return the largest eigenvalue of a symmetric matrix, given as its product with a vector.

    Lanczos iteration: a power iteration that keeps its vectors and takes the best estimate from their span. The plain
    one finds the largest magnitude, and hardly converges where a negative eigenvalue nearly has it, as is common here.
    """
    vector = start / start.norm()
    basis: list[Tensor] = []
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        basis.append(vector)
        image = times(vector)
        if not image.isfinite().all():
            raise Diverged("the Hessian of the validation loss is not finite.")
        diagonal.append(float(vector @ image))
        span = torch.stack(basis)
        for _ in range(2):  # once is not orthogonal enough in float32
            image = image - (span @ image) @ span
        beside.append(float(image.norm()))
        estimates, vectors = eigh_tridiagonal(diagonal, beside[:-1])
        # The last norm times the last component bounds the error of the estimate (Paige 1971).
        error, scale = beside[-1] * abs(vectors[-1, -1]), max(abs(estimates))
        if error <= tolerance * scale or len(basis) == min(iterations, len(start)):
            return float(estimates[-1])
        vector = image / beside[-1]


@dataclass
class EigenvalueStop:
    """The early stopping of RobustDARTS on the dominant eigenvalue (Zela et al., ICLR 2020).

    The mean of the last ``window`` eigenvalues stands for the epoch in the middle of them. The search stops when it
    exceeds ``ratio`` times the mean ``lag`` evaluations earlier, and the architecture is that of the epoch for which
    the earlier mean stands. That epoch is never before ``first_epoch``.
    """

    window: int = 5
    ratio: float = 1.3
    lag: int = 4
    first_epoch: int = 10
    epochs: list[int] = field(default_factory=list)
    eigenvalues: list[float] = field(default_factory=list)

    def update(self, epoch: int, eigenvalue: float) -> int | None:
        """Take the eigenvalue of an epoch (counted from 0); return the epoch to go back to if the search is to stop."""
        self.epochs.append(epoch)
        self.eigenvalues.append(eigenvalue)
        earlier = len(self.epochs) - self.lag
        middle = earlier - 1 - self.window // 2
        if middle < 0 or self.epochs[middle] < self.first_epoch:
            return None
        before, now = self._mean(earlier), self._mean(len(self.epochs))
        return self.epochs[middle] if 0 <= before * self.ratio < now else None

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": list(self.epochs), "eigenvalues": list(self.eigenvalues)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epochs, self.eigenvalues = list(state["epochs"]), list(state["eigenvalues"])

    def _mean(self, end: int) -> float:
        """Return the mean of the window that ends before position ``end``; the first windows are shorter."""
        values = self.eigenvalues[max(0, end - self.window) : end]
        return sum(values) / len(values)


def too_many_skips(operations: Iterable[str], limit: int = 2) -> bool:
    """Say whether the operations chosen for a normal cell hold ``limit`` or more skip connections.

    The first stopping rule of Liang et al., DARTS+, arXiv 1909.06035, 2019.
    """
    return sum(operation == SKIP for operation in operations) >= limit
