"""An autoregressive policy over decisions: an LSTM that reads each decision before it takes the next.

Zoph & Le, ICLR 2017, with the squashed logits of Pham et al., ENAS, ICML 2018. Importing this file imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasbench.core.seeding import Rng
from nasbench.networks.device import seeded
from nasbench.strategies.deciding import Picks

State = tuple[Tensor, Tensor, Tensor]  # input, hidden state and cell state, [1, hidden] each


class DecisionLstm(nn.Module):
    """One LSTM cell, and for every decision an embedding of its values and a linear layer that gives their logits.

    The logits l become ``range * tanh(l / temperature)``, which bounds them (Pham et al., ICML 2018). Input and state
    start at 0, weights uniformly within 0.1, the biases of the logits at 0.
    """

    TEMPERATURE = 5.0
    RANGE = 2.5
    INITIAL_RANGE = 0.1

    def __init__(self, counts: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(hidden, hidden)
        self.embeddings = nn.ModuleList(nn.Embedding(count, hidden) for count in counts)
        self.logits = nn.ModuleList(nn.Linear(hidden, count) for count in counts)
        self.start = torch.zeros(1, hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -self.INITIAL_RANGE, self.INITIAL_RANGE)
        for layer in self.logits:
            assert isinstance(layer, nn.Linear)
            nn.init.zeros_(layer.bias)

    def begin(self) -> State:
        """Return the state before the first decision."""
        return self.start, self.start, self.start

    def step(self, state: State, position: int) -> tuple[Tensor, State]:
        """Return the logarithms of the probabilities of a decision's values [count], and the state after asking."""
        hidden, cell = self.cell(state[0], state[1:])
        logits = self.RANGE * torch.tanh(self.logits[position](hidden[0]) / self.TEMPERATURE)
        return torch.log_softmax(logits, dim=0), (state[0], hidden, cell)

    def take(self, state: State, position: int, pick: int) -> State:
        """Return the state in which the pick of a decision will be read."""
        embedding = self.embeddings[position]
        assert isinstance(embedding, nn.Embedding)
        return embedding.weight[pick : pick + 1], state[1], state[2]

    def forward(self, picks: Picks) -> tuple[Tensor, Tensor]:
        """Return the log-probability of picks, and the sum of the entropies of the distributions they came from."""
        state = self.begin()
        log_probability, entropy = torch.zeros(()), torch.zeros(())
        for position, pick in picks.items():
            logs, state = self.step(state, position)
            log_probability = log_probability + logs[pick]
            entropy = entropy - (logs.exp() * logs).sum()
            state = self.take(state, position, pick)
        return log_probability, entropy


class LstmPolicy:
    """The LSTM with its optimiser, Adam, as a `Policy`."""

    def __init__(
        self, counts: Sequence[int], seed: int, learning_rate: float, entropy_weight: float, hidden: int
    ) -> None:
        with seeded(seed):
            self.network = DecisionLstm(counts, hidden)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        self._entropy_weight = entropy_weight

    def start(self, rng: Rng) -> Callable[[int], int]:
        state = self.network.begin()

        def choose(position: int) -> int:
            nonlocal state
            with torch.no_grad():
                logs, state = self.network.step(state, position)
                cumulated = logs.double().exp().cumsum(0)
                pick = int((cumulated < rng.random() * cumulated[-1]).sum())
                state = self.network.take(state, position, pick)
            return pick

        return choose

    def learn(self, taken: Sequence[Picks], advantages: Sequence[float]) -> None:
        gain = torch.zeros(())
        for picks, advantage in zip(taken, advantages, strict=True):
            log_probability, entropy = self.network(picks)
            gain = gain + advantage * log_probability + self._entropy_weight * entropy
        self._optimiser.zero_grad()
        (-gain / len(taken)).backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        moments = self._optimiser.state_dict()["state"]
        return {
            "network": {name: tensor.clone() for name, tensor in self.network.state_dict().items()},
            "moments": {str(i): {key: value.clone() for key, value in m.items()} for i, m in moments.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        moments = {int(i): m for i, m in state["moments"].items()}
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})
