"""The report of one finished run: its pictures and one self-contained HTML page, from the run's folder alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.objectives import parse_objectives
from nasbench.core.run_directory import read_json
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import write_atomically
from nasbench.protocol.stored_result import read_result
from nasbench.protocol.verdict import MIN_RUNS
from nasbench.reports.front_plot import metric_label

if TYPE_CHECKING:
    from markupsafe import Markup

Lines = list[tuple[str, str]]
LISTED = 12
"""At most so many failed candidates are named for one reason."""


def write_run_report(run_folder: Path, space: SearchSpace) -> None:
    """Write ``architecture.svg``, ``curve.svg``, ``baseline.svg`` and ``report.html`` into a finished run's folder.

    A search for several objectives also gets ``front.svg``. A differentiable search that left ``relaxation.json`` also
    gets ``weights.svg`` and ``regularity.svg``, and of the HyperCuboid ``grid.svg``. The same files give the same
    bytes. Raises BadInput if the run is not finished or a file cannot be read or written.
    """
    from nasbench.reports.drawing import draw_architecture
    from nasbench.reports.front_plot import front_picture
    from nasbench.reports.plots import baseline_distribution, search_curve

    if not (run_folder / "result.json").exists():
        raise BadInput(f"{run_folder} holds no finished run (no result.json).")
    result = read_result(run_folder)
    config = read_json(run_folder / "config.json")
    records = read_records(run_folder / "evaluations.jsonl")
    rows = [record for record in records if "id" in record]
    try:
        pictures = {"curve": search_curve(result, rows), "baseline": baseline_distribution(result)}
        if result.get("front"):
            pictures["front"] = front_picture(result, rows)
        pictures |= relaxation_pictures(space, run_folder / "relaxation.json", records)
        drawing = None
        if result["architecture_spec"] is not None:
            picture = run_folder / "architecture.svg"
            draw_architecture(space, Architecture.from_json(result["architecture_spec"]), picture)
            drawing = picture.read_text()
        page = render(result, config, rows, drawing, pictures)
        for name, picture_text in pictures.items():
            write_atomically(run_folder / f"{name}.svg", picture_text.encode())
        write_atomically(run_folder / "report.html", page.encode())
    except KeyError as error:
        raise BadInput(f"{run_folder}: the run's files have no {error}.") from error
    except OSError as error:
        raise BadInput(f"cannot write to {run_folder}: {error.strerror}.") from error


def relaxation_pictures(space: SearchSpace, path: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return "weights", "regularity" and, of a HyperCuboid, "grid" as SVG text.

    There are none of a run without such weights or learning units.
    """
    from nasbench.reports.grid_drawing import grid_svg
    from nasbench.reports.relaxation_plots import operation_weights, read_relaxation, regularity
    from nasbench.search_spaces.hypercuboid import HyperCuboid

    if not path.exists():
        return {}
    relaxation = read_relaxation(path)
    epochs = len(next(iter(relaxation["weights"].values())))
    if epochs == 0 or not any(record.get("part") == "strategy" for record in records):
        return {}
    pictures = {"weights": operation_weights(relaxation), "regularity": regularity(records)}
    if isinstance(space, HyperCuboid):
        last = {kind: np.array(weights[-1]) for kind, weights in relaxation["weights"].items()}
        pictures["grid"] = grid_svg(space, last)
    return pictures


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return evaluations and learning units without opening the ledger for writing; a torn last line is left out.

    Raises BadInput if the file is missing or another line is not JSON.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        records: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")  # much faster than line by line
    except ValueError:
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise BadInput(f"{path}, line {number}: not a record of a search ({error}).") from error
    return records


def render(
    result: Mapping[str, Any],
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    drawing: str | None,
    pictures: Mapping[str, str],
) -> str:
    """Return the HTML page, with the pictures given by name. It needs no other file, no network and no script."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nasbench.reports"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    recorded = config.get("environment") or {}
    command = recorded.get("command")
    return environment.get_template("run_report.html").render(
        result=result,
        explanation=explanation(result["verdict"] or "", result["verdict_sentence"] or ""),
        exact=(result["baseline"] or {}).get("source") == "table-exact",
        notes=result.get("notes") or [],
        numbers=key_numbers(result),
        front=front_table(result),
        changes=what_would_change(result),
        drawing=None if drawing is None else inline_svg(drawing, "cell"),
        pictures={name: inline_svg(text, name) for name, text in pictures.items()},
        costs=cost_lines(result),
        failures=failure_lines(result, rows),
        command=shlex.join(command) if isinstance(command, list) else command,
        environment=flat({key: value for key, value in recorded.items() if key != "command"}),
        configuration=flat(config.get("run") or {}),
        identity=flat(result["identity"]),
    )


def inline_svg(svg: str, name: str) -> Markup:
    """Prepare a picture for a page with others: no header or metadata, identifiers that begin with ``name``."""
    from markupsafe import Markup

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r' xmlns(:\w+)?="[^"]*"', "", body)
    body = re.sub(r'((?<=\s)id="|url\(#|href="#)', rf"\g<1>{name}-", body)
    return Markup(body.replace("<svg", '<svg role="img"', 1))


def explanation(words: str, sentence: str) -> str:
    """Return the verdict's sentence without the words it begins with, which stand above it."""
    beginning = f"{words}. "
    return sentence[len(beginning) :] if sentence.lower().startswith(beginning.lower()) else sentence


# -- what the page says ----------------------------------------------------------------------------------------------
def key_numbers(result: Mapping[str, Any]) -> Lines:
    """Return the run's figures as (name, text); what is unknown is left out."""
    metrics, baseline, search = result["metrics"] or {}, result["baseline"] or {}, result["random_search"] or {}
    improvement = result["relative_improvement"] or {}
    lines: list[tuple[str, str | None]] = [
        ("test accuracy", _scores_text((result["final"] or {}).get("test_accuracies") or [])),
        ("validation accuracy", _percent(metrics.get("valid_accuracy"))),
        ("average random architecture", _baseline_text(baseline)),
        ("relative improvement", _improvement_text(improvement)),
        ("random search of the same cost", _spread(search.get("mean"), search.get("std"))),
    ]
    if search.get("percentile") is not None:
        lines.append(("beats, of such random searches", f"{search['percentile']:.1f} %"))
    lines.append(
        (
            "evaluations",
            f"{result['evaluations']}, {result['unique_evaluations']} of them different, {result['failed']} failed",
        )
    )
    if metrics.get("parameters") is not None:
        lines.append(("parameters", f"{metrics['parameters']:,.0f}"))
    lines += [(key, ", ".join(result[key])) for key in ("objectives", "constraints") if result.get(key)]
    if result.get("reference_point") is not None:
        reference = ", ".join(f"{value:.6g}" for value in result["reference_point"])
        lines.append(("hypervolume of the front", f"{result['hypervolume']:.6g}, reference point ({reference})"))
    if result.get("predictor"):
        lines.append(("predictor", skill_in_words(result["predictor"])))
    return [(name, text) for name, text in lines if text is not None]


def skill_in_words(predictor: Mapping[str, Any]) -> str:
    """Return how well a predictor ranked what it had not learned from."""
    return (
        f"{predictor['name']}; what it expected of each of {predictor['architectures']} architectures, learning from "
        f"the others, and what was measured: Kendall's tau {predictor['kendall']:.2f}, Spearman's rho "
        f"{predictor['spearman']:.2f}"
    )


def front_table(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the front as rows of text, the heading first: each objective's value, then the architecture."""
    if not result.get("front"):
        return []
    names = [objective.name for objective in parse_objectives(result["objectives"])]
    rows = [[f"{point['metrics'][name]:.6g}" for name in names] + [point["architecture"]] for point in result["front"]]
    return [[metric_label(name) for name in names] + ["architecture"], *rows]


def _scores_text(scores: Sequence[float]) -> str | None:
    if not scores:
        return None
    if len(scores) == 1:
        return _percent(scores[0])
    return f"{_spread(float(np.mean(scores)), float(np.std(scores, ddof=1)))} (mean of {len(scores)} final trainings)"


def _baseline_text(baseline: Mapping[str, Any]) -> str | None:
    spread = _spread(baseline.get("mean"), baseline.get("std"))
    if spread is None:
        return None
    known = "known exactly" if baseline["source"] == "table-exact" else "trained with the same recipe"
    return f"{spread} ({baseline['n']} architectures, {known}; sampler: {baseline['sampler']})"


def _improvement_text(improvement: Mapping[str, Any]) -> str | None:
    if improvement.get("value") is None:
        return None
    text = f"{improvement['value']:+.2f} %"
    if improvement.get("low") is not None:
        text += f", 95 % interval {improvement['low']:+.2f} to {improvement['high']:+.2f}"
    if improvement.get("p_value") is not None:
        text += f", p = {improvement['p_value']:.2g}"
    return text


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f} %"


def _spread(mean: float | None, std: float | None) -> str | None:
    if mean is None:
        return None
    return f"{mean:.2f} %" if std is None else f"{mean:.2f} ± {std:.2f} %"


def what_would_change(result: Mapping[str, Any]) -> list[str]:
    """Return in sentences what could overturn the verdict: more runs, other searches, a larger baseline."""
    if result["final"] is not None and not result["final"]["test_accuracies"]:
        return ["An accuracy on data that the search did not see: that of the found architecture, trained by itself."]
    verdict, baseline = result["verdict"] or "", result["baseline"] or {}
    improvement, needed = result["relative_improvement"] or {}, result.get("runs_needed")
    lines = []
    if "no test" in verdict:
        lines.append(
            f"Repeat the run with other seeds: from {MIN_RUNS} runs on there is a test. "
            "'nasbench leaderboard' puts the runs together."
        )
    elif verdict.startswith("cannot be told"):
        lines.append(
            "At the effect seen, no affordable number of runs would tell the two apart."
            if needed is None
            else f"If the effect is as large as seen, about {needed:,} runs would tell the two apart."
        )
    elif improvement.get("low") is not None:
        nearest = min(abs(improvement["low"]), abs(improvement["high"]))
        lines.append(f"Further runs that move the relative improvement by more than {nearest:.2f} points towards zero.")
    if len((result["final"] or {}).get("test_accuracies") or []) > 1:
        lines.append(
            "The final trainings share one architecture, found by one search: "
            "searches with other seeds may find a better or a worse one."
        )
    if baseline.get("source") == "trained" and baseline.get("std") is not None:
        error = baseline["std"] / baseline["n"] ** 0.5
        lines.append(
            f"A larger baseline: the mean of {baseline['n']} random architectures is uncertain "
            f"by about ± {error:.2f} points."
        )
    if (result["random_search"] or {}).get("mean") is None:
        lines.append(
            "Runs of random search with the same budget: until then it is open whether the way of searching "
            "helps, or only the keeping of the best of many candidates."
        )
    lines.append(
        "Another recipe, split or sampler of random architectures: the verdict holds for the ones named below."
    )
    return lines


def cost_lines(result: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return each known cost as (name, text, share of the whole in percent), the sum last."""
    names = {
        "tuning_seconds": "tuning of settings",
        "search_seconds": "search",
        "selection_seconds": "selection",
        "final_seconds": "final training",
        "baseline_seconds": "random baseline (shared by all runs that use it)",
    }
    known = {title: float(result["costs"][key]) for key, title in names.items() if result["costs"].get(key) is not None}
    whole = sum(known.values())
    lines = [(title, duration(cost), round(100 * cost / whole, 1) if whole else 0.0) for title, cost in known.items()]
    return [*lines, ("whole", duration(whole), 100.0 if whole else 0.0)]


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def failure_lines(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str]]:
    """Return all failures as (how many, reason, which), most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.get("status", "ok") != "ok":
            by_reason.setdefault(row.get("error") or "no reason was recorded", []).append(f"evaluation {row['id']}")
    for part, name in (("final", "a final training"), ("baseline", "a random architecture of the baseline")):
        for reason in (result[part] or {}).get("failures") or []:
            by_reason.setdefault(reason, []).append(name)
    lines = []
    for reason, which in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        more = f" and {len(which) - LISTED} more" if len(which) > LISTED else ""
        lines.append((len(which), reason, ", ".join(which[:LISTED]) + more))
    return lines


def flat(settings: Mapping[str, Any], prefix: str = "") -> Lines:
    """Return nested settings as (dotted name, text); what is null or empty is left out."""
    lines: Lines = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            if value:
                lines.append((f"{prefix}{key}", ", ".join(map(str, value))))
        elif value is not None and value != "":
            lines.append((f"{prefix}{key}", str(value)))
    return lines
