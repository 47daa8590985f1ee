"""The options that every command about a run understands, declared once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from typer import Option

if TYPE_CHECKING:
    from nasbench.experiments.assemble import Parts
    from nasbench.experiments.config import RunConfig

# Of commands that work on several workers.
Address = Option("--address", help="Work on this Ray cluster (auto, HOST:6379, ray://HOST:10001), not on this machine.")
Cpus = Option("--cpus-per-worker", help="Processor cores of one worker, fractions allowed.")
Gpus = Option(
    "--gpus-per-worker", help="GPUs of one worker, fractions allowed; default: this machine's in equal shares."
)
Timeout = Option("--timeout-per-evaluation", help="Seconds after which a candidate counts as failed.")


@dataclass(frozen=True)
class RunOptions:
    """What `search`, `evaluate` and `baseline` have in common; None means the default of what was chosen."""

    space: Annotated[str | None, Option(help="Search space: a built-in name or module:Name.")] = None
    strategy: Annotated[str | None, Option(help="Search strategy: a built-in name or module:Name.")] = None
    dataset: Annotated[
        str | None, Option(help="Data set: a built-in name, a folder or archive of images, module:name.")
    ] = None
    evaluator: Annotated[str | None, Option(help="How candidates are scored: train, table, or module:Name.")] = None
    recipe: Annotated[str | None, Option(help="Named training recipe; see 'nasbench list'.")] = None
    evaluations: Annotated[int | None, Option(help="Budget: number of candidates to score.")] = None
    time: Annotated[float | None, Option(help="Budget: seconds of search.")] = None
    seed: Annotated[int, Option(help="Seed of the search.")] = 0
    seeds: Annotated[int, Option(help="Number of final trainings of one architecture.")] = 5
    baseline_size: Annotated[int, Option(help="Number of random architectures trained for comparison.")] = 16
    workers: Annotated[int, Option(min=0, help="Workers that score candidates, on Ray; 0 and 1: this process.")] = 0
    out: Annotated[Path | None, Option(help="The run's own folder; the same command goes on with it.")] = None
    resume: Annotated[bool, Option("--resume", help="Go on with the run in --out, configured as it was.")] = False
    data_dir: Annotated[
        Path | None, Option(help="Folder of benchmark tables and data sets, or one data set's own.")
    ] = None
    objective: Annotated[
        list[str] | None,
        Option(
            metavar="NAME[@DEVICE][:max|min]",
            help="What to optimise, once or several times: valid_accuracy, latency_ms@raspi4, parameters:min.",
        ),
    ] = None
    constraint: Annotated[
        list[str] | None,
        Option(metavar="NAME<=NUMBER", help="A bound on what is measured, <= or >=: parameters<=1e6."),
    ] = None
    set: Annotated[
        list[str] | None,
        Option(
            "--set", metavar="KEY=VALUE", help="A key of strategy, evaluator, recipe or space: strategy.population=30."
        ),
    ] = None
    json: Annotated[bool, Option("--json", help="Print the result as one JSON object on standard output.")] = False

    def config(self) -> RunConfig:
        """Return the resolved configuration; raise BadInput for whatever is wrong with it."""
        from nasbench.core.configuration import validated
        from nasbench.core.errors import BadInput
        from nasbench.experiments.config import Settings, resolve_settings
        from nasbench.experiments.folders import config_of_run

        typed = {field.name: getattr(self, field.name) for field in fields(self)}
        keys = (*Settings.model_fields,)
        chosen = {key: typed[key] for key in keys if key in typed}
        if not self.resume:
            overrides = tuple(self.set or ())
            return resolve_settings(
                validated(Settings, {**chosen, "baseline": self.baseline_size, "overrides": overrides}, "option")
            )
        if self.out is None:
            raise BadInput("--resume needs the run's folder: --out DIR.")
        fixed = (*chosen, "baseline_size", "set")
        named = [f"--{key.replace('_', '-')}" for key in fixed if typed[key] != getattr(RunOptions(), key)]
        if named:
            raise BadInput(f"--resume reads the configuration from {self.out}; leave out {', '.join(named)}.")
        return config_of_run(self.out)

    def data_folder(self) -> Path | None:
        """Return the data folder given now or, when resuming, the one given then."""
        from nasbench.experiments.folders import data_dir_of_run

        if self.data_dir is None and self.resume and self.out is not None:
            return data_dir_of_run(self.out)
        return self.data_dir

    def parts(self) -> Parts:
        """Return the parts of the run, not yet built."""
        from nasbench.experiments.assemble import Parts
        from nasbench.experiments.folders import folder_of_run

        config = self.config()
        folder = folder_of_run(self.out) if self.resume and self.out is not None else None
        return Parts(config, self.data_folder(), folder)


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `RunOptions`, which it receives as its parameter ``options``, beside its own."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
    hints = get_type_hints(RunOptions, include_extras=True)
    shared = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in fields(RunOptions)
    ]
    names = {parameter.name for parameter in shared}

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        options = RunOptions(**{name: value for name, value in values.items() if name in names})
        command(options=options, **{name: value for name, value in values.items() if name not in names})

    own_keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    signature = inspect.Signature([*own_keywords, *shared])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return wrapped
