"""A linear mixed model: conditions and items fixed, listeners and their taste in conditions random (statsmodels)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

MOST_RATINGS = 20_000  # beyond, the fit takes minutes; so many listeners need no model to speak for them
MOST_ITEMS = 150


@dataclass(frozen=True)
class MixedModel:
    """The fit of score = condition + item + (listener) + (listener x condition) + error, brackets random, by REML.

    Args:
        means: condition, mixed_mean, mixed95_low, mixed95_high: for the average item, Student's t with one degree of
            freedom less than there are listeners; empty where the model was not fitted.
        sd_listener, sd_listener_condition, sd_residual: standard deviations of the random parts, in scale points.
        reason: why it was not fitted, or "".
    """

    means: pd.DataFrame
    sd_listener: float = float("nan")
    sd_listener_condition: float = float("nan")
    sd_residual: float = float("nan")
    reason: str = ""


def fit(frame: pd.DataFrame) -> MixedModel:
    """Fit the model to all ratings.

    Args:
        frame: ratings: listener, item, condition, score.
    """
    listeners, items, conditions = (frame[name].nunique() for name in ("listener", "item", "condition"))
    if listeners < 3:
        return _unfitted("it needs three listeners or more")
    if items < 2 or conditions < 2:
        return _unfitted("it needs two items and two conditions or more")
    if len(frame) > MOST_RATINGS or items > MOST_ITEMS:
        return _unfitted(f"it is fitted to at most {MOST_RATINGS} ratings of {MOST_ITEMS} items")
    if frame["score"].nunique() == 1:
        return _unfitted("all scores are the same")
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import VCSpec

    frame = frame.sort_values(["listener", "condition"], kind="stable")
    condition = pd.Categorical(frame["condition"])
    fixed = np.hstack([np.eye(conditions)[condition.codes], _sum_coded(frame["item"])])
    if np.linalg.matrix_rank(fixed) < fixed.shape[1]:
        return _unfitted("some conditions were rated with some items only, so their effects cannot be told apart")
    tastes = [np.eye(conditions)[group.cat.codes] for _, group in pd.Series(condition).groupby(frame["listener"].array)]
    labels = [[str(name) for name in condition.categories]] * listeners
    model = sm.MixedLM(
        frame["score"].to_numpy(), fixed, groups=frame["listener"].to_numpy(), exog_re=np.ones((len(frame), 1)),
        exog_vc=VCSpec(["taste"], [labels], [tastes]),
    )  # fmt: skip
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of steps on the way; where it ended is judged below
        try:
            # Where a variance is zero, methods that follow the gradient stop short of it and widen the intervals.
            fitted = model.fit(reml=True, method="powell", xtol=1e-6, ftol=1e-10)
        except (np.linalg.LinAlgError, ValueError) as error:
            return _unfitted(f"statsmodels could not fit it ({error})")
        estimates, errors = fitted.fe_params[:conditions], fitted.bse_fe[:conditions]
    if not fitted.converged or not np.isfinite(errors).all():
        return _unfitted("the fit did not converge")
    half_width = student.ppf(0.975, listeners - 1) * errors
    means = pd.DataFrame(
        {
            "condition": condition.categories.astype("str"), "mixed_mean": estimates,
            "mixed95_low": estimates - half_width, "mixed95_high": estimates + half_width,
        }
    )  # fmt: skip
    return MixedModel(means, *np.sqrt([fitted.cov_re[0, 0], fitted.vcomp[0], fitted.scale]).tolist())


def _sum_coded(items: pd.Series[str]) -> np.ndarray:
    """Effects of items that add up to nothing, [ratings, items - 1], so that conditions are means over items."""
    codes = pd.Categorical(items).codes
    count = codes.max() + 1
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])[codes]


def _unfitted(reason: str) -> MixedModel:
    empty = pd.DataFrame(columns=["condition", "mixed_mean", "mixed95_low", "mixed95_high"])
    return MixedModel(empty.astype({"condition": "str"} | dict.fromkeys(empty.columns[1:], float)), reason=reason)
