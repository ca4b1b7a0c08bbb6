"""Linear probe: how well a linear classifier on frozen embeddings tells the classes apart."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

__all__ = ["FewShot", "LinearProbe", "few_label_classes", "fit_few_shot", "fit_probe", "fit_regression"]

_STRENGTHS = (0.01, 0.1, 1.0, 10.0)
_MAX_FOLDS = 4
# With so few labels none can be left out to choose a strength by.
_FEW_SHOT_STRENGTH = 1.0


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """Multinomial logistic regression on standardised embeddings.

    Attributes:
        scaler: mean and deviation of the training embeddings.
        model: the fitted regression; its classes are sorted by name.
        out_of_fold: class probabilities of each training video by a regression that saw no video of its group,
            `float64 [V, K]`; None where all videos are of one group.
    """

    scaler: StandardScaler
    model: LogisticRegression
    out_of_fold: NDArray[np.float64] | None

    def probabilities(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Class probabilities `float64 [U, K]` of embeddings `float32 [U, D]`."""
        return np.asarray(self.model.predict_proba(self.scaler.transform(embeddings)), dtype=np.float64)


def fit_probe(
    train: NDArray[np.float32],
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    weights: NDArray[np.float64] | None = None,
) -> LinearProbe:
    """Fit a probe whose L2 strength names most of the training videos right whose groups were left out.

    Of equally good strengths the strongest penalty is taken; with one group only, the strength is 1.

    Args:
        train: embeddings, `float32 [V, D]`.
        labels: `str [V]`, at least two classes.
        groups: videos of one group stay together when the strength is chosen, `str [V]`.
        weights: how much each of them counts, `float64 [V]`; all the same without.
    """
    if len(np.unique(groups)) < 2:
        return fit_regression(train, labels, weights, strength=1.0)
    left_out = {strength: _left_out(train, labels, groups, weights, strength) for strength in _STRENGTHS}
    classes = np.unique(labels)
    accuracy = {
        strength: float(np.average(classes[table.argmax(axis=1)] == labels, weights=weights))
        for strength, table in left_out.items()
    }
    best = max(_STRENGTHS, key=lambda strength: accuracy[strength])  # the first of equals
    return replace(fit_regression(train, labels, weights, strength=best), out_of_fold=left_out[best])


def fit_regression(
    train: NDArray[np.float32], labels: NDArray[np.str_], weights: NDArray[np.float64] | None, *, strength: float
) -> LinearProbe:
    """The probe of one L2 strength; it leaves nothing out. Arguments as of `fit_probe`."""
    scaler = StandardScaler().fit(train, sample_weight=weights)
    return LinearProbe(scaler, _regression(scaler.transform(train), labels, strength, weights), None)


@dataclass(frozen=True, slots=True)
class FewShot:
    """What probes say that know the labels of k training videos of each class, in R draws.

    Attributes:
        probabilities: of the test videos, classes sorted by name, `float64 [R, U, K]`.
        known: the training videos whose labels are known, `int64 [R, k·K]`.
        out_of_fold: of these videos, each by a probe that knows others of its class but not it, `float64 [R, k·K, K]`;
            None where k is 1 and none can be left out.
    """

    probabilities: NDArray[np.float64]
    known: NDArray[np.int64]
    out_of_fold: NDArray[np.float64] | None


def fit_few_shot(
    train: NDArray[np.float32],
    labels: NDArray[np.str_],
    test: NDArray[np.float32],
    *,
    per_class: int,
    num_draws: int = 5,
) -> FewShot:
    """Probes that know the labels of a few training videos.

    Draw r takes `per_class` videos of each class by the random numbers of seed (per_class, r), the same for all views
    and methods. Embeddings are standardised by all training videos, which needs no labels; the L2 strength is 1.

    Args:
        train: embeddings, `float32 [V, D]`.
        labels: `str [V]`; each class has at least `per_class` videos.
        test: embeddings to classify, `float32 [U, D]`.
        per_class: k, labels per class.
        num_draws: R.
    """
    scaler = StandardScaler().fit(train)
    scaled, queries = scaler.transform(train), scaler.transform(test)
    positions = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    tables, known, left_out = [], [], []
    for draw in range(num_draws):
        rng = np.random.default_rng([per_class, draw])
        drawn = np.concatenate([rng.choice(of_class, per_class, replace=False) for of_class in positions])
        tables.append(_regression(scaled[drawn], labels[drawn], _FEW_SHOT_STRENGTH).predict_proba(queries))
        known.append(drawn)
        if per_class > 1:  # the n-th videos of all classes are left out together
            folds = np.tile(np.arange(per_class) % _MAX_FOLDS, len(positions))
            left_out.append(_left_out_folds(scaled[drawn], labels[drawn], folds))
    out_of_fold = np.stack(left_out) if left_out else None
    return FewShot(np.stack(tables).astype(np.float64), np.stack(known), out_of_fold)


def few_label_classes(
    train: NDArray[np.float32], labels: Sequence[str], known: NDArray[np.int64], test: NDArray[np.float32]
) -> NDArray[np.str_]:
    """What a probe that knows the labels of some training videos calls others; as `fit_few_shot` else.

    Args:
        train: embeddings, `float32 [V, D]`.
        labels: of these training videos that are known, n of them.
        known: which they are, `int64 [n]`.
        test: embeddings to classify, `float32 [U, D]`.

    Returns:
        `str [U]`.
    """
    names = np.array(labels)
    if len(np.unique(names)) == 1:
        return np.repeat(names[:1], len(test))
    scaler = StandardScaler().fit(train)
    model = _regression(scaler.transform(train[known]), names, _FEW_SHOT_STRENGTH)
    return np.asarray(model.predict(scaler.transform(test)), dtype=np.str_)


def _left_out(
    train: NDArray[np.float32],
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    weights: NDArray[np.float64] | None,
    strength: float,
) -> NDArray[np.float64]:
    """Class probabilities `float64 [V, K]` of the training videos while their groups are left out."""
    classes = np.unique(labels)
    table = np.zeros((len(train), len(classes)))
    folds = GroupKFold(min(_MAX_FOLDS, len(np.unique(groups))))
    for kept, left_out in folds.split(train, labels, groups):
        known = np.unique(labels[kept])
        columns = np.searchsorted(classes, known)
        if len(known) == 1:
            table[left_out, columns] = 1.0
            continue
        probe = fit_regression(train[kept], labels[kept], None if weights is None else weights[kept], strength=strength)
        table[np.ix_(left_out, columns)] = probe.probabilities(train[left_out])
    return table


def _left_out_folds(
    known: NDArray[np.float32], labels: NDArray[np.str_], folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Class probabilities `float64 [n, K]` of known videos while their fold is left out; every fold has all classes."""
    table = np.zeros((len(known), len(np.unique(labels))))
    for fold in np.unique(folds):
        is_out = folds == fold
        model = _regression(known[~is_out], labels[~is_out], _FEW_SHOT_STRENGTH)
        table[is_out] = model.predict_proba(known[is_out])
    return table


def _regression(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.str_],
    strength: float,
    weights: NDArray[np.float64] | None = None,
) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=500)
    # So little work for each call of BLAS is ten times slower where its threads have to share their cores.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        # 500 steps decide the accuracy; whether the last digit has settled does not matter here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # One label per class is few, and meant so.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return model.fit(embeddings, labels, sample_weight=weights)
