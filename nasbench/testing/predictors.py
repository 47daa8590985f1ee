"""The contract of a predictor, as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.predictor import Prediction, Predictor
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng, generator, generator_state
from nasbench.testing.contract import ContractBroken, no_global_randomness, require
from nasbench.testing.strategies import SmallSpace

ROUNDING = 1e-4
"""Two predictions that differ by less, as a share of the targets' deviation, are the same: sums of other batches."""


def check_predictor(
    predictor: Callable[[SearchSpace, Rng], Predictor],
    space: SearchSpace | None = None,
    *,
    architectures: int = 40,
    isomorphs: bool = False,
) -> None:
    """Fit a predictor to as many architectures, ask it about others; raise ContractBroken on a fault.

    Checked: shapes and types of predictions, deviations that are not negative; the same seed gives the same
    predictions, without global randomness; predicting draws nothing and changes nothing, and neither the order nor the
    company of the architectures matters; a fit forgets the one before it and leaves its arguments alone; a single
    architecture and equal targets are borne; bad input is refused. With ``isomorphs`` architectures with the same
    canonical form must get the same prediction.
    """
    space = space or SmallSpace()
    rng = generator(0, "check")
    known, others = space.sample_many(rng, architectures), space.sample_many(rng, architectures)
    targets = rng.normal(90.0, 3.0, architectures)

    def fresh() -> Predictor:
        return predictor(space, generator(1, "predictor"))

    def fitted(model: Predictor, number: int = architectures) -> Predictor:
        return model.fit(known[:number], targets[:number].copy())

    _check_refusals(fresh(), known, targets)
    with no_global_randomness():
        model, given = fresh(), targets.copy()
        require(isinstance(model, Predictor), f"it is a {type(model).__name__}, not a Predictor.")
        require(model.fit(known, given) is model, "fit must return the predictor itself.")
        first = _predicted(model, others)
        again = _predicted(fitted(fresh()), others)
    require(np.array_equal(given, targets), "fit changed the targets that it was given.")
    require(_same(first, again), "the same seed, architectures and targets gave other predictions.")

    before = repr(generator_state(model.rng))
    require(_same(_predicted(model, others), first), "predicting twice gave two predictions.")
    require(repr(generator_state(model.rng)) == before, "predict drew from the generator; only fit may.")
    rounding = ROUNDING * float(targets.std())
    backwards = _predicted(model, others[::-1])[:, ::-1]
    require(_same(backwards, first, rounding), "a prediction depends on the order of the architectures.")
    alone = np.concatenate([_predicted(model, [one]) for one in others[:5]], axis=1)
    require(_same(alone, first[:, :5], rounding), "a prediction depends on what is predicted beside it.")
    require(len(model.predict([]).mean) == 0, "predict of no architectures must return none.")

    model.fit(known[:10], -targets[:10])
    model.rng = generator(1, "predictor")
    require(_same(_predicted(fitted(model), others), first), "a second fit remembers the first one.")
    _predicted(fitted(fresh(), 1), others)
    _predicted(fresh().fit(known, np.full(architectures, 7.0)), others)
    if isomorphs:
        representatives = [space.canonical(architecture) for architecture in others]
        theirs = _predicted(model, representatives)
        require(
            _same(theirs, _predicted(model, others), rounding),
            "architectures with the same canonical form got different predictions.",
        )


def _predicted(model: Predictor, architectures: Sequence[Architecture]) -> np.ndarray:
    """Return the means and deviations [2, n] of architectures, NaN for no deviations, after a look at their types."""
    prediction = model.predict(architectures)
    require(isinstance(prediction, Prediction), f"predict returned a {type(prediction).__name__}, not a Prediction.")
    rows = []
    for name, values in prediction._asdict().items():
        if name == "std" and values is None:
            rows.append(np.full(len(architectures), np.nan))
            continue
        found = (getattr(values, "shape", None), str(getattr(values, "dtype", None)))
        expected = ((len(architectures),), "float64")
        require(found == expected, f"{name} of {len(architectures)} architectures is {found}, not {expected}.")
        require(bool(np.isfinite(values).all()), f"{name} must be finite numbers.")
        require(name == "mean" or bool((values >= 0).all()), "std must not be negative.")
        rows.append(values)
    return np.stack(rows)


def _same(a: np.ndarray, b: np.ndarray, rounding: float = 0.0) -> bool:
    return np.allclose(a, b, rtol=0.0, atol=rounding, equal_nan=True)


def _check_refusals(model: Predictor, known: Sequence[Architecture], targets: np.ndarray) -> None:
    nan = np.concatenate([[np.nan], targets[1:]])
    cases: list[tuple[str, Callable[[], object]]] = [
        ("predict before the first fit", lambda: model.predict(known)),
        ("fit without architectures", lambda: model.fit([], np.zeros(0))),
        ("fit with fewer targets than architectures", lambda: model.fit(known, targets[:-1])),
        ("fit with a target that is not finite", lambda: model.fit(known, nan)),
    ]
    for what, call in cases:
        try:
            call()
        except BadInput:
            continue
        except Exception as error:
            raise ContractBroken(f"{what} raised {error!r}; it must raise BadInput.") from error
        require(False, f"{what} was accepted; it must raise BadInput.")
