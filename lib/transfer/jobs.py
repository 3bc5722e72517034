"""Heads on features, networks that go on from them, and ensembles of their predictions, as jobs."""

import shutil
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lib.config import Config, Earlier, FeatureModel, paths
from lib.config.files import write_arrays
from lib.models.backbone import Backbone
from lib.models.heads import Forest
from lib.training.device import import_tensorflow
from lib.training.jobs import FollowingJob, Job, JobFailed
from lib.training.network import NetworkJob
from lib.training.runs import Run, code_checksum

FEATURES = ("datasets/images.py", "inputs/cache.py", "inputs/generators.py", "transfer/features.py")
WEIGHTS = "weights.npz"  # of an ensemble: how it combines its members


class TransferJob(FollowingJob):
    """What goes on from the runs of other jobs, and whose seconds are compared: those of the first seed."""

    @property
    def alone(self) -> bool:
        return self.seed == 0


@dataclass(frozen=True, eq=False)
class HeadJob(TransferJob):
    """A head on the features of a frozen backbone."""

    code: ClassVar[tuple[str, ...]] = (
        *FEATURES,
        "models/heads.py",
        "training/fit.py",
        "training/mirrored.py",
        "training/schedules.py",
        "training/steps.py",
        "transfer/heads.py",
        "transfer/jobs.py",
    )

    @property
    def files(self):
        return [*super().files, *_sources(self.settings.backbone)]

    @property
    def facts(self) -> list[str]:
        return [*super().facts, _weights(self.settings.backbone)]

    def backbone(self, *, trained_from: str = "", image_size: int | None = None):
        """The backbone as a Keras model: pixels -> (B, F) features, frozen up to a layer or block."""
        import keras

        settings, size = self.settings.backbone, image_size or self.settings.image_size
        if isinstance(settings, Earlier):
            return _earlier(self.sources[0].run, settings.replace(trained_from=trained_from), image_size=size)
        if settings.weights == "random":
            keras.utils.set_random_seed(0)  # the same ones whenever they are drawn
        return settings.replace(trained_from=trained_from).extractor(image_size=size)

    def features(self, rows: np.ndarray):
        """`Features` of some rows of its images, from the cache where they are there."""
        from lib.inputs.cache import open_images
        from lib.transfer.features import open_features

        settings, dataset = self.settings, self.opened.dataset
        # What lies in arrays is resized as it is read: nothing is decoded, and a large size would fill the disk.
        budget = None if dataset.arrays is None else 0
        images = open_images(dataset, size=settings.image_size, resize=settings.resize, budget=budget)
        backbone = settings.backbone
        facts = [*map(str, backbone.flat().items()), str(settings.image_size), settings.resize, dataset.checksum]
        facts += [_weights(backbone), *(source.run.id for source in self.sources)]
        facts += [code_checksum([*_files(FEATURES), *_sources(backbone)])]
        name = f"{getattr(backbone, 'name', 'earlier')}-{backbone.cut or 'features'}-{settings.image_size}"
        return open_features(images, rows, model_of=self.backbone, name=name, facts=facts)

    def fit(self) -> tuple[dict, float]:
        from lib.transfer.heads import fit_head

        self.finish_sources()
        split, settings, classes = self.opened.split, self.settings, len(self.opened.dataset.class_names)
        features = self.features(np.sort(np.concatenate([split.train, split.val])))
        options = {"num_classes": classes, "seed": self.seed}
        predict, metrics = fit_head(settings.head, features, (split.train, split.val), run=self.run, **options)
        for role in ("train", "val"):
            rows = getattr(split, role)
            metrics |= self._keep(role, rows, predict(features.read(rows)))
        if settings.folds and self.lacks_predictions("folds"):
            # val has chosen: a head of a fold must not choose again
            chosen = settings.head.replace(strengths=(metrics["strength"],)) if "strength" in metrics else settings.head
            self._predict_folds(features, chosen, **options)
        metrics |= {"features": features.shape[0], "feature_seconds": features.seconds}
        metrics["parameters"] = features.parameters + metrics.get("parameters", 0)
        return metrics, features.seconds + metrics["head_seconds"]

    def _keep(self, role: str, rows: np.ndarray, probabilities: np.ndarray) -> dict:
        labels = self.opened.dataset.index["label"].to_numpy()[rows]
        return self.run.write_predictions(role, rows=rows, labels=labels, probabilities=probabilities)

    def _predict_folds(self, features, head: FeatureModel, *, num_classes: int, seed: int) -> None:
        """Predict each training image by a head that has not seen it: the role `folds`."""
        from lib.transfer.heads import fit_head, folds_of

        rows = self.opened.split.train
        folds = folds_of(features.labels[rows], self.settings.folds)
        probabilities = np.zeros((len(rows), num_classes), np.float32)
        for fold in range(self.settings.folds):
            run, held = Run(self.run.folder / f"fold_{fold}"), folds == fold
            split = (rows[~held], self.opened.split.val)
            predict, _ = fit_head(head, features, split, num_classes=num_classes, run=run, seed=seed)
            probabilities[held] = predict(features.read(rows[held]))
        self._keep("folds", rows, probabilities)
        for fold in range(self.settings.folds):
            shutil.rmtree(self.run.folder / f"fold_{fold}", ignore_errors=True)

    def predict_test(self) -> Run:
        if self.lacks_predictions("test"):
            import_tensorflow()
            from lib.transfer.heads import fit_forest, forest_predictor, predictor

            rows, head = self.opened.split.test, self.settings.head
            if isinstance(head, Forest):  # grown again, the same: a file of it would be one that runs what it holds
                train = self.opened.split.train
                features = self.features(np.sort(np.concatenate([train, self.opened.split.val])))
                forest = fit_forest(head, features.read(train), features.labels[train], seed=self.seed)
                predict = forest_predictor(forest, len(self.opened.dataset.class_names))
            else:
                predict = predictor(self.run.load_model())
            self._keep("test", rows, predict(self.features(rows).read(rows)))
        return self.run

    def network(self, *, trained_from: str = "", image_size: int | None = None):
        """Backbone and head as one Keras model from pixels to logits.

        Raises:
            ValueError: if the head is a forest, which is no network.
        """
        import keras

        if isinstance(self.settings.head, Forest):
            raise ValueError(f"{self.name} is a forest: no network can be made of it")
        backbone = self.backbone(trained_from=trained_from, image_size=image_size)
        x, taken = backbone.output, {layer.name for layer in backbone.layers}
        for layer in self.run.load_model().layers[1:]:
            while layer.name in taken:  # the backbone may end in layers of such a head itself
                layer.name = f"Top_{layer.name}"
            x = layer(x)
        return keras.Model(backbone.input, x, name=backbone.name)


def _earlier(run: Run, settings: Earlier, *, image_size: int):
    """A network of this project up to its cut, for images of another size than it was trained on too."""
    import keras

    from lib.models.backbone import up_to

    whole = run.load_model()
    try:
        maps = whole.get_layer(settings.cut).output if settings.cut else whole.get_layer("logits").input
    except ValueError:
        names = ", ".join(layer.name for layer in whole.layers)
        raise ValueError(f"{run.id} has no layer {settings.cut!r} to be cut at. Layers: {names}") from None
    model = up_to(whole, maps, trained_from=settings.trained_from)
    if whole.input_shape[1] == image_size:
        return model
    image = keras.Input((image_size, image_size, 3), name="image")
    return keras.models.clone_model(model, input_tensors=image, clone_function=lambda layer: layer)


def _files(patterns: tuple[str, ...]):
    return [file for pattern in patterns for file in paths.LIB.glob(pattern)]


def _sources(backbone: Config):
    """The files whose code decides what a backbone computes."""
    return _files(("models/backbone.py",)) if isinstance(backbone, Earlier) else backbone.sources()


def _weights(backbone: Config) -> str:
    """What says which weights a backbone has; those of an earlier network follow from its run."""
    if isinstance(backbone, Backbone) and backbone.weights == "imagenet":
        return backbone.published().digest
    return ""


class TransferNetworkJob(TransferJob, NetworkJob):
    """A network that goes on from a head and its backbone, or begins anew on the same images."""

    code: ClassVar[tuple[str, ...]] = (*NetworkJob.code, "transfer/jobs.py")

    @property
    def files(self):
        return [*Job.files.fget(self), *_sources(self.settings.model)]

    @property
    def compared_with(self) -> list[Config]:
        return []

    def network(self):
        if not self.sources:
            return super().network()
        settings = self.settings
        return self.sources[0].network(trained_from=settings.model.trained_from, image_size=settings.image_size)

    def fit(self) -> tuple[dict, float]:
        self.finish_sources()
        metrics, seconds = super().fit()
        if not self.sources:
            return metrics, seconds
        before = self.sources[0].run.environment()["wall_seconds"]
        return metrics | {"seconds_before": before}, before + seconds


@dataclass(frozen=True, eq=False)
class EnsembleJob(TransferJob):
    """Predictions made of the stored ones of other jobs, its members."""

    code: ClassVar[tuple[str, ...]] = ("evaluation/ensembles.py", "evaluation/metrics.py", "transfer/jobs.py")

    def fit(self) -> tuple[dict, float]:
        bare = [source.name for source in self.sources if not getattr(source.settings, "folds", 0)]
        if self.settings.how == "stack" and bare:
            raise JobFailed(
                f"{self.name} is a stack, fitted on predictions of training images by models that have not seen them, "
                f"and {' and '.join(bare)} has none: set folds= of a head, leave a network out"
            )
        self.finish_sources()
        started, members = time.monotonic(), [source.run for source in self.sources]
        fitted, metrics = self._fit_weights()
        write_arrays(self.run.folder / WEIGHTS, fitted)
        metrics |= self._combine("val")
        if all(run.predictions_file("train").exists() for run in members):  # networks keep none
            metrics |= self._combine("train")
        metrics["members"] = [source.name for source in self.sources]
        metrics["members_seconds"] = sum(run.environment()["wall_seconds"] for run in members)  # each as if alone
        return metrics, time.monotonic() - started

    def _fit_weights(self) -> tuple[dict, dict]:
        """What combines the members: arrays for `blend` or `stack`, and figures for `metrics.json`."""
        from lib.evaluation import ensembles

        (_, *val), how, count = self._stored("val"), self.settings.how, len(self.sources)
        if how == "stack":
            _, *known = self._stored("folds")
            fitted, strength = ensembles.choose_stack(known, val)
            return fitted, {"strength": strength, "trained_parameters": sum(array.size for array in fitted.values())}
        weights = ensembles.blend_weights(*val) if how == "blend" else np.full(count, 1 / count)
        return {"weights": weights}, {"weights": weights.tolist(), "trained_parameters": count * (how == "blend")}

    def _stored(self, role: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Rows (N,), labels (N,) and the probabilities (N, C) of each member.

        Raises:
            JobFailed: if the members have not predicted the same images in the same order.
        """
        stored = [source.run.predictions(role) for source in self.sources]
        rows, labels, _ = stored[0]
        for source, (other_rows, other_labels, _) in zip(self.sources, stored, strict=True):
            if not (np.array_equal(rows, other_rows) and np.array_equal(labels, other_labels)):
                raise JobFailed(
                    f"{self.sources[0].run.id} and {source.run.id} have not predicted the same images in {role}"
                )
        return rows, labels, [probabilities for _, _, probabilities in stored]

    def _combine(self, role: str) -> dict:
        """Keep what the members' predictions of a role give together."""
        from lib.evaluation import ensembles

        rows, labels, members = self._stored(role)
        combine = ensembles.stack if self.settings.how == "stack" else ensembles.blend
        probabilities = combine(members, **self.run.arrays(WEIGHTS))
        return self.run.write_predictions(role, rows=rows, labels=labels, probabilities=probabilities)

    def predict_test(self) -> Run:
        if self.lacks_predictions("test"):
            self.finish_sources()
            for source in self.sources:
                source.predict_test()
            self._combine("test")
        return self.run
