"""lib.search.search after kill -9: it goes on with what is left of its time, and nothing that was finished is lost."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd

from lib.config import paths
from lib.search.trials import read_best

LONG = 240  # seconds of the searches that are killed: enough on a busy machine
PROGRAM = """
    import sys
    from pathlib import Path
    from lib.training.device import import_tensorflow
    import_tensorflow()
    from tiny_searches import SPACE, START, data
    from lib.search.search import search
    start = START.replace(training=START.training.replace(epochs=60))
    space = SPACE.replace(start=start, choices={"model.units": tuple(range(2, 40))})
    result = search(space, data(), seconds=float(sys.argv[2]), folder=Path(sys.argv[1]), seed=0)
    result.load_model()
    print("ended", result.stopped_by)
"""


def begin(folder, seconds=LONG):
    environment = dict(os.environ)
    paths_of_python = [str(paths.ROOT), str(paths.ROOT / "tests"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(paths_of_python)
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def epochs(file):
    return max(0, len(file.read_text(encoding="utf-8").splitlines()) - 1) if file.exists() else 0


def kill_when(process, ready):
    """Kill it once something holds."""
    until = time.monotonic() + LONG
    while process.poll() is None and not ready() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_killed_search_goes_on_with_what_is_left(own_folders):
    folder = own_folders / "search"
    first, second = (folder / "trials" / name for name in ("0000", "0001"))
    kill_when(begin(folder), lambda: epochs(second / "history.csv") >= 3)
    before, rows = (first / "trial.json").read_bytes(), pd.read_csv(second / "history.csv")
    best, used = read_best(folder), json.loads((folder / "clock.json").read_text(encoding="utf-8"))["seconds"]
    assert best and used > 0

    kill_when(begin(folder), lambda: epochs(second / "history.csv") > len(rows))
    between = pd.read_csv(second / "history.csv")
    pd.testing.assert_frame_equal(between[: len(rows)], rows)  # the seconds too: these epochs were not run again
    assert len(between) > len(rows) and (first / "trial.json").read_bytes() == before
    assert read_best(folder)["val_accuracy"] >= best["val_accuracy"]

    budget = json.loads((folder / "clock.json").read_text(encoding="utf-8"))["seconds"] + 10
    process = begin(folder, budget)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0 and "ended" in output, output
    pd.testing.assert_frame_equal(pd.read_csv(second / "history.csv")[: len(between)], between)
    table = pd.read_csv(folder / "trials.csv")
    assert table["val_accuracy"].max() == read_best(folder)["val_accuracy"] and not (table["status"] == "running").any()
    assert json.loads((second / "trial.json").read_text(encoding="utf-8"))["starts"] == 3
    used = json.loads((folder / "clock.json").read_text(encoding="utf-8"))["seconds"]
    assert budget - 10 < used < budget + 20 and (first / "trial.json").read_bytes() == before
