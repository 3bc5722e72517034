"""What others have reached on a data set, for orientation: `data/published.csv`, a row a result, with its source."""

import pandas as pd

from lib.config import paths

COLUMNS = ("result", "accuracy (%)", "measured on", "protocol", "pretrained", "source")


def results(data_set: str) -> pd.DataFrame:
    """Published results of a data set.

    Args:
        data_set: its name, as in `datasets.names()`.

    Returns:
        Columns `COLUMNS`, in the order of the file: results without pretraining first; no rows if none is known.
        Protocols differ, so these numbers can only be compared roughly.
    """
    table = pd.read_csv(paths.DATA / "published.csv", keep_default_na=False, dtype=str)
    table = table[table["data_set"] == data_set]
    spread = table["spread"].map(lambda text: f" ± {text}" if text else "")
    return table.assign(**{"accuracy (%)": table["accuracy"] + spread})[list(COLUMNS)].reset_index(drop=True)
