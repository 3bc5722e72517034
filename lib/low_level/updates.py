"""How gradients change variables: gradient descent and Adam, written out."""

from collections.abc import Sequence

import tensorflow as tf

Variables = Sequence[tf.Variable]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # of Adam, as its authors recommend


class GradientDescent(tf.Module):
    """Against the gradient: w <- w - rate * g."""

    def __init__(self, learning_rate: float | tf.Variable):
        super().__init__(name="update")
        self.learning_rate = learning_rate

    @tf.Module.with_name_scope
    def apply(self, gradients: Sequence[tf.Tensor], variables: Variables) -> None:
        """Change every variable by one step; both sequences are in the same order."""
        for gradient, variable in zip(gradients, variables, strict=True):
            variable.assign_sub(self.learning_rate * gradient)


class Adam(tf.Module):
    """Against the running mean of the gradient, over the root of the running mean of its square (Kingma & Ba 2015).

    Both means start at zero and are too small at first; the correction divides by what is missing.
    """

    def __init__(self, learning_rate: float | tf.Variable, variables: Variables, *, bias_correction: bool = True):
        super().__init__(name="update")
        self.learning_rate = learning_rate
        self.bias_correction = bias_correction
        with self.name_scope:
            self.step = tf.Variable(0.0, trainable=False, name="step")
            self.means = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in variables]
            self.squares = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in variables]

    @tf.Module.with_name_scope
    def apply(self, gradients: Sequence[tf.Tensor], variables: Variables) -> None:
        """Change every variable by one step; both sequences are in the same order."""
        step = self.step.assign_add(1.0)
        first = 1 - BETA_1**step if self.bias_correction else 1.0
        second = 1 - BETA_2**step if self.bias_correction else 1.0
        for gradient, variable, mean, square in zip(gradients, variables, self.means, self.squares, strict=True):
            mean.assign(BETA_1 * mean + (1 - BETA_1) * gradient)
            square.assign(BETA_2 * square + (1 - BETA_2) * tf.square(gradient))
            variable.assign_sub(self.learning_rate * (mean / first) / (tf.sqrt(square / second) + EPSILON))
