"""Run folders: what one job left behind, under a name that changes when its settings, data or code change."""

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import Config
from lib.config.files import read_json, write_arrays
from lib.training.device import import_tensorflow


class RunError(ValueError):
    """A run folder lacks what was asked of it."""


@dataclass(frozen=True)
class Run:
    """One fitted job, read from its folder and never from memory."""

    folder: Path

    @property
    def id(self) -> str:
        """The folder's name, e.g. `baseline-seed0-1a2b3c4d`: what reports quote."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether the run came to its end; `metrics.json` is written last."""
        return (self.folder / "metrics.json").exists()

    @property
    def failure(self) -> str | None:
        """Why the run ended without a result, or None."""
        file = self.folder / "failure.json"
        return read_json(file)["reason"] if file.exists() and not self.finished else None

    def config(self) -> dict:
        """Experiment name, seed, class names and all settings, as they were."""
        return read_json(self._file("config.json"))

    def metrics(self) -> dict:
        """Final figures on train and val."""
        return read_json(self._file("metrics.json"))

    def environment(self) -> dict:
        """Versions, commit, device, seconds and memory."""
        return read_json(self._file("environment.json"))

    def history(self) -> pd.DataFrame:
        """One row per epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, image_size, seconds."""
        return pd.read_csv(self._file("history.csv"))

    def predictions(self, role: str = "val") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index rows (N,), labels (N,) int and probabilities (N, C) float32 of the val or test images."""
        with np.load(self._file(self.predictions_file(role).name)) as stored:
            return stored["rows"], stored["labels"], stored["probabilities"]

    def write_predictions(self, role: str, *, rows: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Keep predictions, as `predictions` gives them."""
        arrays = {"rows": rows, "labels": labels, "probabilities": probabilities}
        write_arrays(self.predictions_file(role), arrays)

    def predictions_file(self, role: str) -> Path:
        """Where the predictions of val, test or another role are kept."""
        return self.folder / ("predictions.npz" if role == "val" else f"predictions_{role}.npz")

    def record(self) -> dict:
        """One flat row for the results table."""
        config, metrics, environment = self.config(), self.metrics(), self.environment()
        return {
            "experiment": config["experiment"],
            "seed": config["seed"],
            "why": config["settings"]["why"],
            **metrics,
            "minutes": environment["wall_seconds"] / 60,
            "run": self.id,
        }

    def load_model(self):
        """The trained Keras model: (B, S, S, 3) pixels in [0, 255] -> (B, C) logits."""

        import_tensorflow()
        import keras

        import lib.models.batch_norm  # noqa: F401 - the file names this layer, and Keras must know it

        return keras.saving.load_model(self._file("model.keras"), compile=False, safe_mode=True)

    def _file(self, name: str) -> Path:
        file = self.folder / name
        if not file.exists():
            raise RunError(f"Run {self.id} has no {name}: it is not finished, or the file was removed. Run it again.")
        return file


def locate(folder: Path, settings: Config, *, name: str, seed: int, data: Sequence[str], code: Sequence[Path]) -> Run:
    """The run of some settings, whether it exists yet or not.

    Args:
        folder: where the runs of a brief live.
        settings: all of them; `why` does not count, so a better question does not train anything again.
        name: the first part of the run's name.
        seed: of weights, order and augmentation.
        data: checksums of the data set and its split, and whatever else decides the numbers.
        code: modules that decide the numbers.
    """
    deciding = {key: value for key, value in settings.flat().items() if key != "why"}
    content = json.dumps([deciding, seed, *data, code_checksum(code)], sort_keys=True, default=list)
    return Run(folder / f"{name}-seed{seed}-{hashlib.sha256(content.encode()).hexdigest()[:10]}")


def code_checksum(modules: Sequence[Path]) -> str:
    """SHA-256 of the code in some modules; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for file in modules:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()
