"""What a finished run's ``result.json`` must hold for others to work with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput
from nasbench.core.run_directory import read_json

FORMAT = 1


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Final(_Open):
    test_accuracies: list[float]
    valid_accuracies: list[float | None]


class _Baseline(_Open):
    mean: float | None
    std: float | None
    n: int | None
    key: str | None
    source: str | None
    scores: list[float] | None


class _RandomSearch(_Open):
    mean: float | None
    std: float | None
    percentile: float | None


class _Improvement(_Open):
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None


class _Identity(_Open):
    run_id: str | None
    method: str
    method_version: str | None
    config_hash: str | None
    recipe_hash: str | None
    protocol_version: int | None
    data_fingerprint: str | None
    split: str | None
    sampler: str | None
    space_version: str | None
    fidelity: str | None


class StoredResult(_Open):
    """The fields that the leaderboard, the report and a repeated command read; accuracies in percent."""

    format: int
    space: str
    strategy: str
    dataset: str
    evaluator: str
    seed: int
    evaluations: int
    unique_evaluations: int
    failed: int
    architecture: str | None
    architecture_spec: list[Any] | None
    metrics: dict[str, float | None] | None
    final: _Final | None
    baseline: _Baseline | None
    random_search: _RandomSearch | None
    relative_improvement: _Improvement | None
    verdict: str | None
    verdict_sentence: str | None
    costs: dict[str, float | None]
    identity: _Identity
    seconds: float


def read_result(folder: Path) -> dict[str, Any]:
    """Return a run's result as it stands in its file, its ``run`` being the folder where it lies now.

    Raises BadInput if the file is damaged, of another format, or lacks something.
    """
    file = folder / "result.json"
    data = read_json(file)
    if data.get("format") != FORMAT:
        raise BadInput(f"{file}: format {data.get('format')}, this version reads format {FORMAT}.")
    try:
        validated(StoredResult, data, "result")
    except BadInput as error:
        raise BadInput(f"{file} is damaged ({error}) Delete it, and the same search command makes it again.") from error
    return {**data, "run": str(folder)}
