"""DARTS (Liu, Simonyan, Yang, ICLR 2019), and what others have changed in it: the same search with other pieces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nasbench.strategies.differentiable.config import DifferentiableConfig, Momenta, Rule
from nasbench.strategies.differentiable.strategy import Differentiable


class Darts(Differentiable):
    """DARTS: softmax, alpha by Adam on validation batches, weights by SGD on training batches; first order by default.

    ``order=2`` lets alpha see the next step of the weights (Liu et al., ICLR 2019, section 2.3).
    """


class DartsMinus(Differentiable):
    """DARTS- (Chu et al., ICLR 2021): an auxiliary skip connection beside every mixed operation fades out."""

    class Config(DifferentiableConfig):
        auxiliary_skip: Literal["none", "linear", "cosine"] = "cosine"


class FairDarts(Differentiable):
    """Fair DARTS (Chu et al., ECCV 2020): a sigmoid for each operation, pulled to 0 or 1 by a loss.

    Batch, rates and momentum of alpha as in the authors' program. An architecture is read off by the rule of the space,
    on the sigmoids; the authors keep every operation above 0.85, which no architecture of the space might have.
    """

    class Config(DifferentiableConfig):
        batch_size: int = Field(default=128, ge=1)
        coefficients: Rule = "sigmoid"
        zero_one_loss: float = Field(default=10.0, ge=0)
        learning_rate: float = Field(default=0.005, gt=0)
        alpha_learning_rate: float | None = Field(default=3e-3, gt=0)
        alpha_momentum: Momenta = (0.9, 0.999)


class Sdarts(Differentiable):
    """SDARTS-RS (Chen & Hsieh, ICML 2020): steps of the weights see randomly perturbed coefficients."""

    class Config(DifferentiableConfig):
        coefficients: Rule = "perturbed"


class Gdas(Differentiable):
    """GDAS (Dong & Yang, CVPR 2019): one operation an edge is sampled in every step, with the Gumbel-softmax trick."""

    class Config(DifferentiableConfig):
        coefficients: Rule = "gumbel"


class RobustDarts(Differentiable):
    """The early stopping of RobustDARTS (Zela et al., ICLR 2020), on the curvature of the validation loss."""

    class Config(DifferentiableConfig):
        stop: Literal["never", "eigenvalue", "skips"] = "eigenvalue"


class DartsPt(Differentiable):
    """DARTS-PT (Wang et al., ICLR 2021): chooses operations by what the supernet loses without them, not by alpha."""

    class Config(DifferentiableConfig):
        selection: Literal["strongest", "perturbation"] = "perturbation"


class FrozenDarts(DartsPt):
    """The ablation of Wang et al., ICLR 2021: as DARTS-PT, alpha frozen at 0. What alpha learns must beat this."""

    class Config(DartsPt.Config):
        alpha: Literal["learned", "frozen"] = "frozen"


class SharpDarts(Differentiable):
    """sharpDARTS (Hundt, Jain, Hager, arXiv 1903.09900, 2019): Max-W and cosine power annealing, first order.

    Batch, rates, power and warm-up as in the authors' program, which augments with cutout and AutoAugment besides: the
    cutout is that of the recipe, and AutoAugment is not built. Its operations are a choice of the space:
    ``--set space.operations=sharpdarts``, or ``sharpsepconv-darts``, ``sharper``.
    """

    class Config(DifferentiableConfig):
        batch_size: int = Field(default=48, ge=1)
        coefficients: Rule = "max-w"
        schedule: Literal["cosine", "cosine power", "cosine power, rescaled"] = "cosine power, rescaled"
        learning_rate_end: float = Field(default=1e-4, ge=0)
        cutout: int | None = Field(default=None, ge=0)


class GridSearch(SharpDarts):
    """Differentiable Hyperparameter Grid Search (Hundt et al., 2019), made for the space ``hypercuboid``.

    The architecture is the longest path of the weighted grid. ``coefficients=softmax`` gives the scalar form.
    """
