"""A copy of a search in a storage of Optuna's, for its dashboard to show. Importing this file imports Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, create_trial

from nasbench.core.errors import BadInput
from nasbench.strategies.optuna_parameters import plain


class StudyCopy:
    """A study in a storage, given by its URL, to which trials are added as they finish.

    What is there already must be the beginning of the same search, as it is after a restart, and is not added again.
    Raises BadInput if it is something else, or if Optuna cannot open the storage.
    """

    def __init__(
        self, url: str, name: str, directions: Sequence[Literal["minimize", "maximize"]], metrics: Sequence[str]
    ) -> None:
        self._url = url
        try:
            self._study = optuna.create_study(storage=url, study_name=name, directions=directions, load_if_exists=True)
            self._study.set_metric_names(list(metrics))
            self._earlier = self._study.get_trials(deepcopy=False)
        except Exception as error:  # each kind of storage has errors of its own
            raise BadInput(f"Optuna cannot open the storage '{url}': {str(error).splitlines()[0]}.") from error
        self._length = 0

    def add(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the copy up to the trials of a search, all of them finished."""
        for trial in trials[self._length :]:
            if self._length < len(self._earlier):
                self._compare(self._earlier[self._length], trial)
            else:
                self._study.add_trial(
                    create_trial(
                        state=trial.state,
                        values=trial.values,
                        params=trial.params,
                        distributions={name: plain(d) for name, d in trial.distributions.items()},
                        constraints=trial.constraints,
                    )
                )
            self._length += 1

    def _compare(self, earlier: FrozenTrial, trial: FrozenTrial) -> None:
        if (earlier.params, earlier.values, earlier.state) != (trial.params, trial.values, trial.state):
            raise BadInput(
                f"the study '{self._study.study_name}' in '{self._url}' is of another search; "
                "give another storage or delete that study."
            )
