"""Run folders: what one job left behind, under a name that changes when its settings, data or code change."""

import ast
import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import Config
from lib.config.files import checksum, read_arrays, read_json, replacing, write_arrays, write_json
from lib.training.device import import_tensorflow

FILES = "files.json"  # checksum of each file that fitting left
CHECKPOINT = "checkpoint.npz"  # the state of an unfinished run


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

    def finish(self, metrics: dict) -> None:
        """Write the final figures, and just before them the checksums of all files, by which `damage` goes."""
        with replacing(self.folder / "metrics.json") as partial:
            write_json(partial, metrics)
            files = [file for file in self.folder.rglob("*") if file.is_file() and file.name[0] != "."]
            names = {file.relative_to(self.folder).as_posix() for file in files} - {FILES, CHECKPOINT}
            kept = {name: checksum(self.folder / name) for name in sorted(names)}
            write_json(self.folder / FILES, kept | {"metrics.json": checksum(partial)})
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def damage(self) -> str | None:
        """The first file of a finished run that is missing or not as fitting left it, or None if the run is whole."""
        try:
            kept = self._read(FILES, read_json, "metrics.json")
        except RunError:
            return FILES
        return next((name for name, before in kept.items() if checksum(self.folder / name) != before), None)

    @property
    def failure(self) -> str | None:
        """Why the run ended without a result, or None; a reason that cannot be read counts as none."""
        try:
            return None if self.finished else self._read("failure.json", read_json, "reason")["reason"]
        except RunError:
            return None

    def config(self) -> dict:
        """Experiment name, seed, class names and all settings, as they were."""
        return self._read("config.json", read_json, "settings")

    def metrics(self) -> dict:
        """Final figures on train and val."""
        return self._read("metrics.json", read_json)

    def environment(self) -> dict:
        """Versions, commit, device, seconds and memory."""
        return self._read("environment.json", read_json, "wall_seconds")

    def history(self) -> pd.DataFrame:
        """One row per epoch: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, image_size, seconds."""
        return self._read("history.csv", pd.read_csv, "epoch")

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays that fitting left in an .npz file of this name."""
        return self._read(name, read_arrays)

    def predictions(self, role: str = "val") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index rows (N,), labels (N,) int and probabilities (N, C) float32 of the val or test images."""
        names = ("rows", "labels", "probabilities")
        stored = self._read(self.predictions_file(role).name, read_arrays, *names)
        return tuple(stored[name] for name in names)

    def write_predictions(
        self, role: str, *, rows: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
    ) -> dict[str, float]:
        """Keep predictions, as `predictions` gives them.

        Returns:
            `<role>_accuracy` in [0, 1], and `<role>_loss`: mean cross entropy in nats.
        """
        arrays = {"rows": rows, "labels": labels, "probabilities": probabilities}
        write_arrays(self.predictions_file(role), arrays)
        right = probabilities[np.arange(len(labels)), labels]
        accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
        return {f"{role}_accuracy": accuracy, f"{role}_loss": float(np.mean(-np.log(np.maximum(right, 1e-12))))}

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

    def load_model(self, name: str = "model.keras"):
        """The trained Keras model of a file: (B, S, S, 3) pixels in [0, 255] -> (B, C) logits."""
        import_tensorflow()
        import keras

        import lib.models.blocks  # noqa: F401 - the file names layers of ours, and Keras must know them

        file = self._file(name)
        try:
            return keras.saving.load_model(file, compile=False, safe_mode=True)
        except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(f"Run {self.id}: {name} cannot be read ({error}). Run it again.") from error

    def _file(self, name: str) -> Path:
        file = self.folder / name
        if not file.exists():
            raise RunError(f"Run {self.id} has no {name}: it is not finished, or the file was removed. Run it again.")
        return file

    def _read(self, name: str, read: Callable, *needed: str):
        """What `read` makes of a file, if it is a dict or table with some names in it."""
        file = self._file(name)
        try:
            content = read(file)
            if not isinstance(content, (dict, pd.DataFrame)) or not set(needed) <= set(content):
                raise ValueError(f"it must hold {' and '.join(needed) or 'names and values'}")
        except ValueError as error:
            raise RunError(f"Run {self.id}: {name} cannot be read ({error}). Run it again.") from error
        return content


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
    deciding = {key: value for key, value in settings.flat().items() if key.rpartition(".")[2] != "why"}
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
