"""lib.training.mirrored: two devices compute what one does."""

import json
import os
import subprocess
import sys

import numpy as np

from lib.config import paths


def test_two_devices_give_the_numbers_of_one_at_the_same_batch(photo_folder, own_folders):
    command = [sys.executable, "tests/two_devices.py", str(photo_folder)]
    done = subprocess.run(command, cwd=paths.ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    # Batch normalisation is over the whole batch: with that of each share, the first loss would differ by 0.05.
    alone, together = np.array(found["steps"])
    assert len(alone) == 20 and np.ptp(alone) > 0.05 and np.abs(alone - together).max() < 1e-5
    assert found["furthest"] < 1e-5 and found["differing"] == []
    whole, resumed, one = np.array(found["epochs"])
    assert found["resumed"] and np.array_equal(whole, resumed) and np.abs(whole - one).max() < 1e-5
    assert found["saved"] == {"equal": True, "plain": True}
    assert found["overflow"] == {"finite": False, "kept": True, "scale": 0.5}
    assert found["noted"] == 2 and found["one_device"] == [1]  # a batch of one image cannot be shared
