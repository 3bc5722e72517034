"""The graph functions of training: one step of gradient descent, evaluation, prediction; and the optimizer."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from lib.config import Training, View
from lib.training.muon import Muon
from lib.training.sgd import Sgd


def make_train_step(model: keras.Model, optimizer, config: Training, *, compile_graph: bool = False) -> Callable:
    """One step of gradient descent as a graph.

    Returns:
        Function of (images (B, H, W, 3), labels (B,) int or (B, C) rows) that changes the weights and returns a (3,)
        float32 tensor: sum of the losses, number of right answers, number of images.
    """

    @tf.function(jit_compile=compile_graph)
    def step(images, labels):
        rows = labels if labels.shape.rank == 2 else tf.one_hot(labels, model.output_shape[-1])
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = smoothed_cross_entropy(rows, logits, smoothing=config.label_smoothing)
            penalty = tf.add_n(model.losses) if model.losses else 0.0  # L1 and L2: not part of the loss that is shown
            loss = optimizer.scale_loss(tf.reduce_mean(losses) + penalty)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        right = tf.cast(tf.argmax(logits, 1) == tf.argmax(rows, 1), tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right), tf.cast(tf.shape(right)[0], tf.float32)])

    return step


def smoothed_cross_entropy(rows: tf.Tensor, logits: tf.Tensor, *, smoothing: float) -> tf.Tensor:
    """Cross entropy per image in nats, with `smoothing` of the weight spread over all classes (Szegedy et al. 2016)."""
    num_classes = logits.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(rows * (1 - smoothing) + smoothing / num_classes, logits)


def make_evaluate(model: keras.Model) -> Callable:
    """A function from a dataset of (images, int labels) to mean cross entropy in nats and accuracy in [0, 1]."""

    @tf.function(input_signature=[image_spec(model), tf.TensorSpec((None,), tf.int32)])
    def step(images, labels):
        logits = model(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        right = tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right), tf.cast(tf.shape(right)[0], tf.float32)])

    def evaluate(dataset) -> tuple[float, float]:
        loss, right, count = sum(step(images, labels) for images, labels in dataset).numpy()
        return float(loss / count), float(right / count)

    return evaluate


def image_spec(model: keras.Model) -> tf.TensorSpec:
    """Batches of any length of a model's images, or of features: one graph serves them all."""
    return tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8 if len(model.input_shape) == 4 else tf.float32)


def predict(model: keras.Model, dataset, *, views: Sequence[View] = (View(),)) -> np.ndarray:
    """Class probabilities of every image of a data set of (images, labels): (N, C) float32, rows sum to 1.

    They are the mean over the views of each image.
    """

    @tf.function(input_signature=[image_spec(model)])
    def step(images):
        return tf.add_n([tf.nn.softmax(model(_seen(images, view), training=False)) for view in views]) / len(views)

    return np.concatenate([step(images).numpy() for images, _ in dataset])


def _seen(images: tf.Tensor, view: View) -> tf.Tensor:
    """Images (B, H, W, 3) as a view has them; what moves in from outside is reflected."""
    if view.mirrored:
        images = images[:, :, ::-1]
    if view.shift:
        margin, start = [abs(view.shift)] * 2, abs(view.shift) - view.shift
        height, width = tf.unstack(tf.shape(images)[1:3])
        images = tf.pad(images, [[0, 0], margin, margin, [0, 0]], "SYMMETRIC")
        images = images[:, start : start + height, start : start + width]
    return images


def predict_arrays(model: keras.Model, values: np.ndarray) -> np.ndarray:
    """Class probabilities of a network that reads features (N, F): (N, C) float32, rows sum to 1."""
    return predict(model, ((values[start : start + 4096], None) for start in range(0, len(values), 4096)))


def make_optimizer(config: Training) -> keras.optimizers.Optimizer:
    """The optimizer of a config; weight decay leaves biases and normalisation alone.

    In half precision small gradients would become 0; the losses are scaled up against that.
    """
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    else:
        kind = Muon if config.optimizer == "muon" else Sgd
        decay = config.weight_decay or None
        optimizer = kind(config.learning_rate, momentum=0.9, nesterov=True, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    half = keras.config.dtype_policy().name == "mixed_float16"
    return keras.optimizers.LossScaleOptimizer(optimizer) if half else optimizer


def flexible(model: keras.Model, sizes: list[int]) -> keras.Model:
    """The same layers and weights, accepting any image size; the model itself where one size is all there is."""
    if len(set(sizes)) == 1:
        return model
    image = keras.Input((None, None, 3), name="image")
    return keras.models.clone_model(model, input_tensors=image, clone_function=lambda layer: layer)
