"""A fully connected network from variables and products: `tf.Variable` and `tf.Module`, nothing of Keras.

Each layer works inside a name scope of its own, so that the traced graph has one box per layer.
"""

import numpy as np
import tensorflow as tf

MOMENTUM = 0.9  # of the running statistics of batch norm
EPSILON = 1e-5  # added to variances


class Dense(tf.Module):
    """A fully connected layer: x W + b, or x W alone where what follows would cancel b."""

    def __init__(self, inputs: int, units: int, *, rng: np.random.Generator, name: str, use_bias: bool = True):
        """Kernel normal with variance 2 / inputs (He et al. 2015), bias zero."""
        super().__init__(name=name)
        kernel = rng.normal(scale=np.sqrt(2 / inputs), size=(inputs, units))
        with self.name_scope:
            self.kernel = tf.Variable(kernel, dtype=tf.float32, name="kernel")
            self.bias = tf.Variable(tf.zeros(units), name="bias") if use_bias else None

    @tf.Module.with_name_scope
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        product = tf.matmul(x, self.kernel)
        return product if self.bias is None else product + self.bias


class BatchNorm(tf.Module):
    """Normalisation of each unit over the batch, then a scale and a shift that are learnt (Ioffe & Szegedy 2015)."""

    def __init__(self, units: int, *, name: str):
        super().__init__(name=name)
        with self.name_scope:
            self.gamma = tf.Variable(tf.ones(units), name="gamma")
            self.beta = tf.Variable(tf.zeros(units), name="beta")
            self.mean = tf.Variable(tf.zeros(units), trainable=False, name="mean")
            self.variance = tf.Variable(tf.ones(units), trainable=False, name="variance")

    @tf.Module.with_name_scope
    def __call__(self, x: tf.Tensor, *, training: bool) -> tf.Tensor:
        mean, variance = self.mean, self.variance
        if training:
            mean = tf.reduce_mean(x, axis=0)
            variance = tf.reduce_mean(tf.square(x - mean), axis=0)
            self.mean.assign(MOMENTUM * self.mean + (1 - MOMENTUM) * mean)
            self.variance.assign(MOMENTUM * self.variance + (1 - MOMENTUM) * variance)
        return self.gamma * (x - mean) * tf.math.rsqrt(variance + EPSILON) + self.beta


class Network(tf.Module):
    """Hidden layers with ReLU, then one logit (two classes) or one a class."""

    def __init__(
        self, inputs: int, hidden: tuple[int, ...], *, num_classes: int, batch_norm: bool = False, seed: int = 0
    ):
        """Args:
        inputs: values of an image.
        hidden: units of each hidden layer.
        num_classes: 2 makes one logit, more make one a class.
        batch_norm: normalise each hidden layer before its ReLU.
        seed: of the kernels.
        """
        super().__init__(name="network")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2. Received: {num_classes}")
        rng = np.random.default_rng(seed)
        widths = (inputs, *hidden)
        names = [f"hidden_{number}" for number in range(1, len(widths))]
        pairs = list(zip(widths, hidden, names, strict=False))
        self.hidden = [
            Dense(before, after, rng=rng, name=name, use_bias=not batch_norm) for before, after, name in pairs
        ]
        self.norms = [BatchNorm(units, name=f"{name}_norm") for _, units, name in pairs] if batch_norm else []
        self.output = Dense(widths[-1], num_classes if num_classes > 2 else 1, rng=rng, name="logits")

    def __call__(self, images: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """Logits of images (B, inputs) float32: (B,) of two classes, else (B, num_classes)."""
        x = images
        for number, layer in enumerate(self.hidden):
            x = layer(x)
            if self.norms:
                x = self.norms[number](x, training=training)
            with tf.name_scope(f"{layer.name}/"):
                x = tf.nn.relu(x)
        logits = self.output(x)
        return logits[:, 0] if logits.shape[-1] == 1 else logits


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross entropy of each image in nats, computed from logits so that it overflows for none.

    Logits are (B,) of two classes with float32 targets 0 and 1, or (B, C) with one-hot rows; the result is (B,).
    """
    with tf.name_scope("loss"):
        if logits.shape.rank == 1:
            return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
        return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def is_right(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """1.0 where the class with the highest logit is the true one, else 0.0: (B,) float32."""
    with tf.name_scope("accuracy"):
        if logits.shape.rank == 1:
            return tf.cast((logits > 0) == (targets > 0.5), tf.float32)
        return tf.cast(tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1), tf.float32)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Logits (N,) or (N, C) as class probabilities (N, 2) or (N, C), float32; rows sum to 1."""
    if logits.ndim == 1:
        positive = tf.sigmoid(logits).numpy()
        return np.stack([1 - positive, positive], axis=1)
    return tf.nn.softmax(logits).numpy()
