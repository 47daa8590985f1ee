"""A space with decisions that matter only sometimes, one of them before what it depends on."""

from __future__ import annotations

from nasbench.core.decision_space import Choice
from nasbench.testing.strategies import SmallSpace


class ConditionalSpace(SmallSpace):
    name = "conditional"
    decisions = (
        Choice("kernel", ("c", "b", "a"), active=lambda settings: settings["op"] == "conv"),
        Choice("op", ("pool", "conv", "skip")),
        Choice("groups", ((1, 1), (2, 4)), active=lambda s: s["op"] == "conv" and s["kernel"] != "c"),
        Choice("width", (8, 16, 32)),
    )
