"""Pictures of an architecture given as text or as a run's folder."""

from __future__ import annotations

from pathlib import Path

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import Settings, resolve_settings
from nasbench.experiments.folders import config_of_run
from nasbench.protocol.stored_result import read_result
from nasbench.tables.table import TABLES


def draw(what: str, space: str | None, overrides: tuple[str, ...], out: Path | None) -> list[Path]:
    """Draw an architecture to ``out``; for a run's folder without ``out``, write its report and pictures again.

    Returns the files written. Raises BadInput if ``what`` is neither.
    """
    from nasbench.reports.drawing import draw_architecture

    folder = Path(what)
    if len(folder.parts) > 1 and not folder.exists() and "|" not in what and "(" not in what:
        raise BadInput(f"there is no run folder {what}.")
    if folder.is_dir():
        parts = Parts(config_of_run(folder), None)
        if not (folder / "result.json").exists():
            raise BadInput(f"{folder} is not finished yet; the same search command goes on with it.")
        if out is None:
            from nasbench.reports.run_report import write_run_report

            write_run_report(folder, parts.space)
            return [folder / "report.html"]
        architecture = Architecture.from_json(read_result(folder)["architecture_spec"])
    else:
        evaluator = "table" if space in TABLES else "train"
        parts = Parts(resolve_settings(Settings(space=space, evaluator=evaluator, overrides=overrides)), None)
        architecture = parts.space.parse(what)
    picture = out or Path("architecture.svg")
    try:
        draw_architecture(parts.space, architecture, picture)
    except OSError as error:
        raise BadInput(f"cannot write {picture}: {error.strerror}.") from error
    return [picture]
