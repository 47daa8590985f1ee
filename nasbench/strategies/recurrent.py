"""A small LSTM over decisions, in plain numpy: at some tens of numbers a step, a framework costs more than it computes.

Hochreiter & Schmidhuber, Neural Computation 1997, with a forget gate; as a controller of architecture search after Zoph
& Le, ICLR 2017, and Pham et al., ENAS, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from nasbench.core.seeding import Rng
from nasbench.strategies.reinforce import Adam

GATES = 4  # in, forget, candidate, out
Precision = type[np.float32] | type[np.float64]


class Trace:
    """What happened along a sequence: all that its gradient needs. ``state`` is the hidden state [hidden] by now."""

    def __init__(self, hidden: int, precision: Precision) -> None:
        self.tokens: list[int | None] = []
        self.inputs: list[np.ndarray] = []  # token and hidden state before, [2 * hidden] each
        self.gates: list[np.ndarray] = []  # [4, hidden] each
        self.cells = [np.zeros(hidden, precision)]
        self.states = [np.zeros(hidden, precision)]

    @property
    def state(self) -> np.ndarray:
        return self.states[-1]


class Answer(NamedTuple):
    """A distribution over the values of a kind of decision, given after ``step`` steps: bounded logits, logarithms of
    the probabilities, and probabilities, [values] each."""

    step: int
    kind: int
    logits: np.ndarray
    logs: np.ndarray
    probabilities: np.ndarray

    @property
    def entropy(self) -> float:
        """In nats."""
        return -float(self.probabilities @ self.logs)


class DecisionLstm:
    """One LSTM cell, and for every kind of decision an embedding of its values and a linear layer with their logits.

    ``counts`` are the numbers of values of the kinds. The logits l become ``RANGE * tanh(l / TEMPERATURE)``, which
    bounds them (Pham et al., ICML 2018). A sequence starts at state 0; weights start uniformly within 0.1, the biases
    of the logits at 0; all as in ``graphnas/graphnas_controller.py`` of ``GraphNAS/GraphNAS``. `ascend` moves all of
    it by Adam. Cell and layers are those of `torch.nn.LSTMCell`, with both of its biases, and `torch.nn.Linear`. In
    single precision all that a step of Adam touches fits into a core's cache, which makes it several times as fast.
    """

    TEMPERATURE = 5.0
    RANGE = 2.5
    INITIAL_RANGE = 0.1

    def __init__(
        self,
        counts: Sequence[int],
        hidden: int,
        rng: Rng,
        learning_rate: float,
        precision: Precision = np.float32,
    ) -> None:
        self._hidden, self._precision = hidden, precision
        self._first = [0, *accumulate(counts)]
        tokens = self._first[-1]
        shapes = {
            "embeddings": (tokens, hidden),
            "cell": (GATES * hidden, 2 * hidden),
            "cell_biases": (2, GATES * hidden),
            "answers": (tokens, hidden),
            "answer_biases": (tokens,),
        }
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        ends = list(accumulate(sizes))
        self._where = {
            name: (end - size, end, shape) for (name, shape), size, end in zip(shapes.items(), sizes, ends, strict=True)
        }
        self.parameters: np.ndarray = rng.uniform(-self.INITIAL_RANGE, self.INITIAL_RANGE, ends[-1]).astype(precision)
        self._named = self.named(self.parameters)
        self._named["answer_biases"][:] = 0.0
        self._adam = Adam((ends[-1],), learning_rate, precision)
        self._gradient = np.empty_like(self.parameters)
        # The sigmoid is a tanh of half the width: one call serves all four gates.
        self._slope: np.ndarray = np.repeat([0.5, 0.5, 1.0, 0.5], hidden).astype(precision)
        self._offset: np.ndarray = np.repeat([0.5, 0.5, 0.0, 0.5], hidden).astype(precision)

    def named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of an array like ``parameters`` by name, as views."""
        return {name: flat[start:end].reshape(shape) for name, (start, end, shape) in self._where.items()}

    def begin(self) -> Trace:
        """Return the empty sequence."""
        return Trace(self._hidden, self._precision)

    def step(self, trace: Trace, kind: int | None = None, pick: int = 0) -> None:
        """Let the cell read the pick of a kind of decision, or zeros; the trace grows."""
        hidden, named = self._hidden, self._named
        given = np.zeros(2 * hidden, self._precision)
        token = None if kind is None else self._first[kind] + pick
        if token is not None:
            given[:hidden] = named["embeddings"][token]
        given[hidden:] = trace.state
        gates = named["cell"] @ given
        gates += named["cell_biases"][0]
        gates += named["cell_biases"][1]
        gates *= self._slope
        np.tanh(gates, out=gates)
        gates *= self._slope
        gates += self._offset
        gates = gates.reshape(GATES, hidden)
        cell = gates[1] * trace.cells[-1] + gates[0] * gates[2]
        trace.tokens.append(token)
        trace.inputs.append(given)
        trace.gates.append(gates)
        trace.cells.append(cell)
        trace.states.append(gates[3] * np.tanh(cell))

    def answer(self, trace: Trace, kind: int) -> Answer:
        """Return the distribution over the values of a kind of decision, as the state is by now."""
        rows = slice(self._first[kind], self._first[kind + 1])
        raw = self._named["answers"][rows] @ trace.state + self._named["answer_biases"][rows]
        logits = self.RANGE * np.tanh(raw / self.TEMPERATURE)
        logs = logits - np.log(np.exp(logits).sum())  # bounded, so that nothing can overflow
        return Answer(len(trace.tokens), kind, logits, logs, np.exp(logs))

    def gradient(self, trace: Trace, pulls: Iterable[tuple[Answer, int, float]]) -> np.ndarray:
        """Return the gradient of the sum of ``advantage * log p(pick)`` over (answer, pick, advantage), by parameter.

        The answers must have been given along this trace, with the parameters as they are. The next call overwrites
        what is returned.
        """
        hidden, steps = self._hidden, len(trace.tokens)
        gradient = self.named(self._gradient)
        for name in ("embeddings", "answers", "answer_biases"):
            gradient[name].fill(0.0)
        of_states = np.zeros((steps + 1, hidden), self._precision)
        for answer, pick, advantage in pulls:
            rows = slice(self._first[answer.kind], self._first[answer.kind + 1])
            slope = -advantage * answer.probabilities
            slope[pick] += advantage
            slope *= (self.RANGE / self.TEMPERATURE) * (1 - (answer.logits / self.RANGE) ** 2)
            gradient["answers"][rows] += slope[:, None] * trace.states[answer.step]
            gradient["answer_biases"][rows] += slope
            of_states[answer.step] += slope @ self._named["answers"][rows]

        gates, cells = np.array(trace.gates), np.array(trace.cells)
        squashed = np.tanh(cells[1:])
        local = gates * (1 - gates)
        local[:, 2] = 1 - gates[:, 2] ** 2
        # What each gate's argument does to the cell (the first three) and to the state (the last).
        local *= np.stack([gates[:, 2], cells[:-1], gates[:, 0], squashed], axis=1)
        to_cell = gates[:, 3] * (1 - squashed**2)
        back = self._named["cell"][:, hidden:]
        of_gates = np.empty((steps, GATES, hidden), self._precision)
        of_cell = of_state = np.zeros(hidden, self._precision)
        for step in reversed(range(steps)):
            of_state = of_state + of_states[step + 1]
            of_cell = of_cell + of_state * to_cell[step]
            of_gates[step, :3] = local[step, :3] * of_cell
            of_gates[step, 3] = local[step, 3] * of_state
            of_cell = of_cell * gates[step, 1]
            of_state = of_gates[step].ravel() @ back
        of_arguments = of_gates.reshape(steps, -1)
        np.matmul(of_arguments.T, np.array(trace.inputs), out=gradient["cell"])
        gradient["cell_biases"][:] = of_arguments.sum(axis=0)
        of_inputs = of_arguments @ self._named["cell"][:, :hidden]
        for token, slope in zip(trace.tokens, of_inputs, strict=True):
            if token is not None:
                gradient["embeddings"][token] += slope
        return self._gradient

    def ascend(self, trace: Trace, pulls: Iterable[tuple[Answer, int, float]]) -> None:
        """Take a step of Adam up the gradient."""
        self.parameters += self._adam.step(self.gradient(trace, pulls))

    def state_dict(self) -> dict[str, Any]:
        return {"parameters": self.parameters.copy(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.parameters[:] = state["parameters"]
        self._adam.load_state_dict(state["adam"])


def pick_from(probabilities: np.ndarray, draw: float) -> int:
    """Return the number of the value into whose share a uniform draw from [0, 1) falls."""
    cumulated = probabilities.cumsum()
    return int((cumulated[:-1] <= draw * cumulated[-1]).sum())
