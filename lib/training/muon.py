"""Muon: the update of each convolution kernel is made orthogonal, so that all its directions learn equally fast."""

import keras
import tensorflow as tf

from lib.training.sgd import Sgd

MOMENTUM = 0.6  # of the kernels; all other weights keep that of SGD
SHARE = 0.6  # of the learning rate, for the kernels: their steps have the size of the rate, whatever the gradient is
STEPS = 3
CUBIC, QUINTIC, LINEAR = -4.7750, 2.0315, 3.4445


@keras.saving.register_keras_serializable("coursework")
class Muon(Sgd):
    """SGD with Nesterov momentum whose convolution kernels take orthogonal steps (Jordan 2024).

    Before its step a kernel is scaled to the norm that a matrix of orthogonal columns would have; what follows it must
    therefore not depend on its size, as batch norm does not. Kernels that read pixels, kernels with one filter per
    channel and dense ones are left to SGD, which goes for biases and normalisation too.
    """

    def update_step(self, gradient, variable, learning_rate):
        if not is_inner_kernel(variable.shape):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, MOMENTUM * momentum + gradient)
        rows = tf.reshape(gradient + MOMENTUM * momentum, (-1, variable.shape[-1]))
        # Where the network computes in bfloat16, so do these products; they are a tenth of a training.
        half = keras.config.dtype_policy().compute_dtype == "bfloat16"
        step = tf.reshape(orthogonal(tf.cast(rows, tf.bfloat16) if half else rows), variable.shape)
        scaled = variable * (variable.shape[-1] ** 0.5 / (tf.norm(variable) + keras.config.epsilon()))
        self.assign(variable, scaled - SHARE * learning_rate * tf.cast(step, variable.dtype))


def is_inner_kernel(shape: tuple[int, ...]) -> bool:
    """Whether weights of this shape are a convolution kernel (H, W, channels, filters) beyond the first layer's."""
    return len(shape) == 4 and shape[2] > 3 and shape[3] > 1


def orthogonal(matrix: tf.Tensor) -> tf.Tensor:
    """The orthogonal matrix near a matrix (rows, columns), roughly: its singular values become about 1.

    Three Newton-Schulz steps of the fifth order with Jordan's coefficients, which trade exactness for speed: singular
    values end between 0.5 and 1.3, unless they are tiny beside the largest.
    """
    wide = matrix.shape[0] < matrix.shape[1]
    x = tf.transpose(matrix) if wide else matrix
    x /= tf.norm(x) + keras.config.epsilon()
    for _ in range(STEPS):
        gram = tf.matmul(x, x, transpose_a=True)
        x = LINEAR * x + tf.matmul(x, CUBIC * gram + QUINTIC * tf.matmul(gram, gram))
    return tf.transpose(x) if wide else x
