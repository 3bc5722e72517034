"""SGD whose update is one operation per weight, with the very numbers of Keras' own."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("coursework")
class Sgd(keras.optimizers.SGD):
    """Keras' SGD with momentum above 0, which reads and writes each weight once.

    Keras composes the update of eight operations, each of which reads and writes arrays of the weight's size.
    """

    def update_step(self, gradient, variable, learning_rate):
        momentum = self.momentums[self._get_variable_index(variable)].value
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=momentum.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )
