"""Which settings matter, read off the trials of a search."""

import numpy as np
import pandas as pd

LEAST_TRIALS = 8  # fewer say nothing


def setting_importance(values: pd.DataFrame, scores: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """How much each setting decides of the scores: by how far a forest errs more once the setting is shuffled.

    A random forest learns the scores from the settings (Breiman 2001). What it knows of trials that it has not seen is
    its out-of-bag R squared: near 0 or below, the importances say nothing.

    Args:
        values: (N trials, S settings), numbers or words; a setting that a trial lacks is NaN.
        scores: (N,) of the trials, e.g. val accuracy.
        seed: of the forest and the shuffles.

    Returns:
        One row per setting, the most important first: setting, importance (mean fall of R squared), spread (standard
        deviation over 30 shuffles), and known, the out-of-bag R squared, the same in each row. Settings that never
        differ are left out; with fewer than 8 trials, or nothing that differs, there is no row.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    codes = values.apply(_codes)
    codes = codes.loc[:, codes.nunique() > 1]
    scores = np.asarray(scores, float)
    if len(scores) < LEAST_TRIALS or codes.empty or np.ptp(scores) == 0:
        return pd.DataFrame(columns=["setting", "importance", "spread", "known"])
    forest = RandomForestRegressor(300, oob_score=True, random_state=seed).fit(codes, scores)
    found = permutation_importance(forest, codes, scores, n_repeats=30, random_state=seed)
    frame = pd.DataFrame(
        {"setting": codes.columns, "importance": found.importances_mean, "spread": found.importances_std}
    )
    frame = frame.sort_values("importance", ascending=False, ignore_index=True, kind="stable")
    return frame.assign(known=float(forest.oob_score_))


def _codes(column: pd.Series) -> pd.Series:
    """A setting as numbers: words by their alphabet, what is missing as -1."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.astype(float).fillna(-1.0)
    return pd.Series(pd.factorize(column.astype(str).where(column.notna()), sort=True)[0], index=column.index)
