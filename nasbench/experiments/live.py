"""What a search that learns shows while it runs."""

from __future__ import annotations

from nasbench.core.abilities import Relaxing
from nasbench.core.evaluation import Learned
from nasbench.experiments.assemble import Parts
from nasbench.reports.live_view import operation_table


def view_of_learning(parts: Parts, unit: Learned) -> str:
    """Return the measures of a learning unit and, of a relaxation, its weights and what it would build now."""
    words = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in unit.metrics.items())
    if not isinstance(parts.strategy, Relaxing):
        return words
    relaxation = parts.strategy.relaxation()
    weights = {kind: epochs[-1] for kind, epochs in relaxation["weights"].items()}
    now = parts.space.format(parts.strategy.recommend()[0])
    return operation_table(relaxation["operations"], relaxation["edges"], weights, f"{words}\nnow: {now}")
