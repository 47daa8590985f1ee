"""A surrogate benchmark of Once-for-All MobileNetV3 sub-networks on ImageNet.

The files ``ofa_mobilenetv3/*.csv`` hold sub-networks of the super-network of width 1.0 (Cai et al., ICLR 2020) at
resolution 224, measured with its shared weights on ImageNet's validation images during three searches: a genetic
algorithm for accuracy, NSGA-II and LINAS for accuracy and multiply-adds (Sarah et al., arXiv 2202.12954, software
DyNAS-T). What was measured is looked up; every other sub-network is predicted by a Gaussian process.

`import_file` turns them into ``ofa_mobilenetv3/imagenet.npz``: the distinct sub-networks ``spec`` [n, decisions],
their ``accuracy`` [n], the ``features`` [n, features] of the predictor, and what is known of its errors, which take
longest to compute. Either will do in a data folder.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find
from nasbench.search_spaces.ofa_mobilenetv3 import BLOCKS, DEPTHS, EXPANSIONS, KERNELS, STAGES, OfaMobileNetV3
from nasbench.tables import converted
from nasbench.tables.gaussian_process import GaussianProcess
from nasbench.tables.table import Score, Source, Surrogate

SPACE = OfaMobileNetV3.name
CLASSES = {"imagenet": 1000}
ROWS = {"mbnv3w10_evoga_acc.csv": 364, "mbnv3w10_evonsga2_acc_macs.csv": 540, "mbnv3w10_linasnsga2_acc_macs.csv": 554}
FOLDER = "ofa_mobilenetv3"
FILE = f"{FOLDER}/imagenet.npz"
SOURCES = (
    Source(
        FILE,
        f"Once-for-All sub-networks: 'nasbench data import FOLDER' with {', '.join(ROWS)} of IntelLabs/DyNAS-T",
        tuple(name for csv_name in ROWS for name in (f"{FOLDER}/{csv_name}", csv_name)),
    ),
)
CONTENT = "d384415d562ce8fb"
"""The fingerprint of all that was measured."""
NAME, PARAMETERS, MACS, ACCURACY = "Sub-network", "Model Parameters", "MACs", "Top-1 Acc (%)"
DIGITS = 3
"""Accuracies are measured, and predicted, to a thousandth of a percent."""

# Of a grid in factors of three the likelihood is within 1 % of its highest here, and the error does not change by 2 %
# around it. No tuning beyond this: the error by cross-validation is that of these two numbers.
SQUARED_LENGTH, NOISE = 1000.0, 1e-3
FOLDS = 5


@dataclass(frozen=True)
class Measured:
    """The distinct sub-networks that were measured, with what follows from them and takes long to compute.

    ``error`` is what `errors` says; ``usual`` the deviation that nineteen in twenty measured ones have without
    themselves.
    """

    architectures: list[Architecture]
    accuracies: np.ndarray
    features: np.ndarray
    error: Mapping[str, float]
    usual: float

    def process(self) -> GaussianProcess:
        return GaussianProcess(self.features, self.accuracies, squared_length=SQUARED_LENGTH, noise=NOISE)

    def fingerprint(self) -> str:
        pairs = sorted((a.spec, y) for a, y in zip(self.architectures, self.accuracies.tolist(), strict=True))
        return hashlib.sha256(repr((pairs, SQUARED_LENGTH, NOISE)).encode()).hexdigest()[:16]


def load(dataset: str, data_dir: Path | None = None) -> Surrogate:
    """Read the measured sub-networks; from the original files that takes seconds, from the converted one it does not.

    Raises MissingData if a file is nowhere to be found, BadInput if it is damaged or another data set is asked for.
    """
    if dataset.lower() not in CLASSES:
        raise unknown("data set of the Once-for-All sub-networks", dataset, CLASSES)
    space = OfaMobileNetV3()
    file = find([FILE, Path(FILE).name], data_dir)
    if file is not None and file.suffix == ".npz":
        measured = _read_converted(file)
    else:
        files = [_locate(name, data_dir) for name in ROWS]
        file, measured = files[0].parent, _measured(files, space)
    return Surrogate(
        space=SPACE,
        dataset=dataset.lower(),
        classes=CLASSES[dataset.lower()],
        fidelity="shared weights of the super-network",
        file=file,
        fingerprint=measured.fingerprint(),
        notes=notes(measured.error, len(measured.architectures)),
        measured={a.spec: y for a, y in zip(measured.architectures, measured.accuracies.tolist(), strict=True)},
        canonical=space.canonical,
        predict=_Predictor(space, measured).score,
        error=measured.error,
    )


def is_original(source: Path) -> bool:
    """Say whether this is one of the CSV files, or the folder that holds them; `import_file` then checks all three."""
    if source.is_dir():
        return any((source / name).is_file() for name in ROWS)
    with source.open("rb") as data:
        head = data.read(1000)
    return NAME.encode() in head and ACCURACY.encode() in head


def import_file(source: Path, target: Path) -> Path:
    """Convert the three CSV files to ``ofa_mobilenetv3/imagenet.npz`` under ``target``; return the new file.

    ``source`` is their folder or one of them. Raises MissingData or BadInput, and writes nothing, unless all rows are
    there, with the parameters and multiply-adds of their networks and the accuracies as published.
    """
    folder = source if source.is_dir() else source.parent
    files = [folder / name for name in ROWS]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise MissingData(f"{missing} is missing; the benchmark is made of {', '.join(ROWS)}.")
    measured = _measured(files, OfaMobileNetV3())
    if measured.fingerprint() != CONTENT:
        raise BadInput(f"{folder}: the accuracies are not those published (their checksum differs).")
    arrays = {
        "spec": np.array([architecture.spec for architecture in measured.architectures], dtype=np.uint8),
        "accuracy": measured.accuracies,
        "features": measured.features,
        "error_names": np.array(list(measured.error)),
        "errors": np.array(list(measured.error.values())),
        "usual": np.array(measured.usual),
    }
    return converted.write(target / FILE, arrays)


def _read_converted(file: Path) -> Measured:
    specs, accuracies, features, error_names, errors, usual = converted.read(
        file, "spec", "accuracy", "features", "error_names", "errors", "usual"
    )
    architectures = [Architecture(SPACE, tuple(spec)) for spec in specs.tolist()]
    error = dict(zip(error_names.tolist(), errors.tolist(), strict=False))
    measured = Measured(architectures, accuracies, features, error, float(usual))
    if measured.fingerprint() != CONTENT:
        raise BadInput(f"{file}: the accuracies are not those published (their checksum differs).")
    return measured


def _measured(files: Sequence[Path], space: OfaMobileNetV3) -> Measured:
    """Read the original files and compute what follows from them."""
    searches = [read(file, space) for file in files]
    found = {
        architecture: round(float(np.mean([known[architecture] for known in searches if architecture in known])), 4)
        for architecture in dict.fromkeys(architecture for known in searches for architecture in known)
    }
    architectures, accuracies = list(found), np.array(list(found.values()))
    features = np.array([describe(space, architecture) for architecture in architectures])
    process = GaussianProcess(features, accuracies, squared_length=SQUARED_LENGTH, noise=NOISE)
    usual = float(np.quantile(process.left_out_deviations(), 0.95))
    return Measured(architectures, accuracies, features, errors(process, architectures, accuracies, searches), usual)


def read(file: Path, space: OfaMobileNetV3) -> dict[Architecture, float]:
    """Return the measured accuracies in percent of one search, by canonical architecture.

    Raises BadInput if rows are missing, or one's parameters or multiply-adds are not those of its network.
    """
    try:
        with file.open(newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(f"{file} is damaged and cannot be read ({error}).") from error
    if len(rows) != ROWS[file.name]:
        raise BadInput(f"{file}: {len(rows)} rows; it must have {ROWS[file.name]}.")
    found: dict[Architecture, list[float]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{file}, line {number}"
        try:
            architecture = space.canonical(space.parse(row[NAME]))
            counted, accuracy = (int(row[PARAMETERS]), int(row[MACS])), float(row[ACCURACY])
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{where}: not a measured sub-network ({error}).") from error
        expected = space.parameters(architecture), space.macs(architecture)
        if counted != expected or not 0 <= accuracy <= 100:
            raise BadInput(
                f"{where}: {counted} parameters and multiply-adds, accuracy {accuracy}; the network has {expected}, "
                "and an accuracy lies between 0 and 100."
            )
        found.setdefault(architecture, []).append(accuracy)
    return {architecture: float(np.mean(accuracies)) for architecture, accuracies in found.items()}


def describe(space: OfaMobileNetV3, architecture: Architecture) -> np.ndarray:
    """Return the features of a canonical architecture: costs, sums over each stage, and the one-hot code.

    Costs are the logarithms of multiply-adds and parameters; sums are those of the kernels and of the expansions of the
    blocks that are there.
    """
    spec = np.array(architecture.spec, dtype=np.float64)
    kernels, expansions, depths = np.split(spec, [BLOCKS, 2 * BLOCKS])
    there = (np.arange(BLOCKS // STAGES) < depths[:, None]).ravel()
    costs = np.log([space.macs(architecture), space.parameters(architecture)])
    sums = [(values * there).reshape(STAGES, -1).sum(axis=1) for values in (kernels, expansions)]
    code = [
        (kernels[:, None] == KERNELS) & there[:, None],
        (expansions[:, None] == EXPANSIONS) & there[:, None],
        depths[:, None] == DEPTHS,
    ]
    return np.concatenate([costs, *sums, *(part.ravel() for part in code)])


def errors(
    process: GaussianProcess,
    architectures: Sequence[Architecture],
    accuracies: np.ndarray,
    searches: Sequence[Mapping[Architecture, float]],
) -> dict[str, float]:
    """Return how far predictions are off, in points of accuracy, by cross-validation over distinct sub-networks.

    ``tau`` (Kendall), ``mean_absolute_error`` and ``nine_in_ten_within`` are of five random parts;
    ``mean_absolute_error_other_search`` is the worst over the searches, each predicted from the others alone.
    """
    from scipy.stats import kendalltau

    parts = np.array_split(np.random.default_rng(0).permutation(len(accuracies)), FOLDS)
    residuals = process.held_out_residuals(parts)
    by_search = []
    for found in searches:
        others = [other for other in searches if other is not found]
        alone = [i for i, a in enumerate(architectures) if a in found and not any(a in other for other in others)]
        by_search.append(np.array(alone))
    other = process.held_out_residuals(by_search)
    return {
        "tau": float(kendalltau(accuracies, accuracies - residuals).statistic),
        "mean_absolute_error": float(np.abs(residuals).mean()),
        "nine_in_ten_within": float(np.quantile(np.abs(residuals), 0.9)),
        "mean_absolute_error_other_search": max(float(np.abs(other[group]).mean()) for group in by_search),
    }


def notes(error: Mapping[str, float], measured: int) -> tuple[str, ...]:
    """Return what must be said of scores from this benchmark."""
    about_scores = (
        "Accuracies are those of the shared weights of one super-network, without training of their own, on ImageNet "
        f"validation images that the searches saw, too: there is no held-out score. {measured:,} sub-networks were "
        "measured, chosen by three searches and not at random."
    )
    about_predictions = (
        f"All others are predicted, with a mean absolute error of {error['mean_absolute_error']:.3f} points by "
        f"cross-validation over five parts (Kendall tau {error['tau']:.3f}, nine in ten within "
        f"{error['nine_in_ten_within']:.2f}), and of up to {error['mean_absolute_error_other_search']:.2f} for the "
        "networks of a search that the predictor has not seen. A prediction outside of what was measured says "
        "extrapolated = 1; there errors are larger, and in one direction."
    )
    return about_scores, about_predictions


class _Predictor:
    """Predicts one sub-network from the measured ones; fitted when first asked, most of what loading would cost."""

    def __init__(self, space: OfaMobileNetV3, measured: Measured) -> None:
        self._space, self._measured = space, measured
        costs = measured.features[:, :2]
        self._costs = costs.min(axis=0), costs.max(axis=0)
        self._accuracies = float(measured.accuracies.min()), float(measured.accuracies.max())
        self._usual = measured.usual

    @cached_property
    def _process(self) -> GaussianProcess:
        return self._measured.process()

    def score(self, architecture: Architecture) -> Score:
        """Return the predicted accuracy, its standard deviation, and whether the network is outside of the measured.

        That is: more or less costly than all measured ones, predicted better or worse than all, or less certain than
        nineteen in twenty of them were without themselves.
        """
        features = describe(self._space, architecture)
        mean, deviation = self._process.predict(features)
        costs = features[:2]
        inside = (
            bool(((self._costs[0] <= costs) & (costs <= self._costs[1])).all())
            and self._accuracies[0] <= mean <= self._accuracies[1]
            and deviation <= self._usual
        )
        further = {"prediction_std": round(deviation, DIGITS), "extrapolated": float(not inside)}
        return Score(round(min(max(mean, 0.0), 100.0), DIGITS), "predicted", further)


def _locate(name: str, data_dir: Path | None) -> Path:
    file = find([f"{FOLDER}/{name}", name], data_dir)
    if file is None:
        raise MissingData(
            f"the Once-for-All sub-networks ({FOLDER}/{name}) are in none of the data folders. The file is part of "
            "IntelLabs/DyNAS-T: 'nasbench data import FOLDER'; or point --data-dir or NASBENCH_DATA at a folder that "
            "has it."
        )
    return file
