"""Linear probe: how well a linear classifier on frozen embeddings tells the classes apart."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["linear_probe"]

_STRENGTHS = (0.01, 0.1, 1.0, 10.0)
_MAX_FOLDS = 4


def linear_probe(
    train: NDArray[np.float32],
    train_labels: NDArray[np.str_],
    train_groups: NDArray[np.str_],
    test: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Multinomial logistic regression; its L2 strength is chosen by leaving out groups of the training videos.

    Args:
        train: embeddings, `float32 [V, D]`.
        train_labels: `str [V]`.
        train_groups: videos of one group stay together when the strength is chosen, `str [V]`.
        test: embeddings to classify, `float32 [U, D]`.

    Returns:
        Class probabilities `float64 [U, K]`, classes sorted by name.
    """
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    grid = {"logisticregression__C": _STRENGTHS}
    num_folds = min(_MAX_FOLDS, len(np.unique(train_groups)))
    with warnings.catch_warnings():
        # 500 steps decide the accuracy; whether the last digit has settled does not matter here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if num_folds < 2:
            fitted = pipeline.fit(train, train_labels)
        else:
            search = GridSearchCV(pipeline, grid, cv=GroupKFold(num_folds))
            fitted = search.fit(train, train_labels, groups=train_groups)
    return np.asarray(fitted.predict_proba(test))
