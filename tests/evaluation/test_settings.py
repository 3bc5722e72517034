"""Which settings matter: a planted one is found, and too few trials say nothing."""

import numpy as np
import pandas as pd

from lib import evaluation


def trials(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "width": rng.choice([8, 16, 32], count),
            "family": rng.choice(["residual", "conv_blocks"], count),
            "same": 1,
        }
    )


def test_the_setting_that_decides_comes_first_and_the_forest_knows_it():
    values = trials(40)
    found = evaluation.setting_importance(values, values["width"].to_numpy() / 32)
    assert list(found["setting"]) == ["width", "family"], "what never differs is left out"
    assert found["importance"][0] > 0.5 > 0.1 > found["importance"][1] and found["known"][0] > 0.8


def test_words_and_missing_values_count_too():
    values = trials(40)
    values.loc[::4, "width"] = np.nan
    scores = (values["family"] == "residual") + 0.2 * values["width"].isna()
    found = evaluation.setting_importance(values, scores)
    assert list(found["setting"]) == ["family", "width"] and (found["importance"] > 0.02).all()


def test_noise_is_not_known_and_few_trials_say_nothing():
    values = trials(30)
    noise = evaluation.setting_importance(values, np.random.default_rng(1).random(30))
    assert noise["known"][0] < 0.3
    assert evaluation.setting_importance(values[:7], np.arange(7)).empty
    assert evaluation.setting_importance(values, np.ones(30)).empty
