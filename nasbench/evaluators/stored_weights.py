"""Weights of trainings that may go on, kept for a while in the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench.core.state import load_state, save_state

SUBFOLDER = "weights"


@dataclass(frozen=True)
class StoredWeights:
    """A store of training states by the id of the evaluation that left them.

    It saves time and decides nothing: a training that goes on is the one that would have begun anew, to the last bit on
    the CPU. What is missing is trained again.
    """

    run: Path

    def write(self, id: int, identity: Any, states: Sequence[dict[str, Any]]) -> str:
        """Store the states of one evaluation's trainings; return the file of the weights, relative to the run.

        ``identity`` is plain data that tells this training from others, however far it has come.
        """
        folder = self.run / SUBFOLDER
        folder.mkdir(exist_ok=True)
        file = folder / f"{id:09d}.json"
        save_state(file, {"identity": repr(identity), "trainings": list(states)})
        return f"{SUBFOLDER}/{file.with_suffix('.safetensors').name}"

    def read(self, id: int, identity: Any, before: int) -> list[dict[str, Any]] | None:
        """Return the states that an evaluation left; None if there are none of this training ``before`` that epoch.

        Raises BadInput if the file was changed.
        """
        file = self.run / SUBFOLDER / f"{id:09d}.json"
        if not file.exists():
            return None
        state = load_state(file)
        trainings: list[dict[str, Any]] = state["trainings"]
        usable = state["identity"] == repr(identity) and all(training["epochs"] < before for training in trainings)
        return trainings if usable else None

    def forget(self, before: int) -> None:
        """Delete what evaluations with smaller ids left, and the folder once it is empty."""
        folder = self.run / SUBFOLDER
        if not folder.is_dir():
            return
        for file in sorted(folder.glob("[0-9]*.*"), key=lambda file: file.suffix):  # .json first: without it no state
            if int(file.stem) < before:
                file.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
