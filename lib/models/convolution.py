"""A convolution that trains faster in bfloat16 on a CPU than Keras' own, with the same weights."""

import keras
import tensorflow as tf

SMALL = 8 * 8  # places of a map
FEWEST = 32  # channels; products of thinner matrices are slow


@keras.saving.register_keras_serializable("coursework")
class Conv2D(keras.layers.Conv2D):
    """Keras' layer, which in bfloat16 takes the gradient of its kernel from matrix products where that is faster.

    TensorFlow's own operation for that gradient reaches half of the processor's speed on small maps and with strides.
    In other precisions, and in all that is not training, every bit is Keras' own.
    """

    def convolution_op(self, inputs, kernel):
        plain = self.padding == "same" and self.groups == 1 and set(self.dilation_rate) == {1}
        if self.compute_dtype != "bfloat16" or not plain or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        return _convolve(inputs, tf.convert_to_tensor(kernel), self.strides)


def _convolve(inputs: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int]) -> tf.Tensor:
    """Maps (B, H, W, C) and a kernel (K, L, C, F) -> maps (B, H / strides, W / strides, F), rounded up."""
    settings = {"strides": (1, *strides, 1), "padding": "SAME"}

    @tf.custom_gradient
    def convolve(inputs, kernel):
        def backward(above):
            below = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(inputs), filter=kernel, out_backprop=above, **settings
            )

            def usual():
                sizes = tf.shape(kernel)
                return tf.raw_ops.Conv2DBackpropFilter(input=inputs, filter_sizes=sizes, out_backprop=above, **settings)

            def products():
                return kernel_gradient(inputs, above, kernel.shape, strides)

            if kernel.shape[2] < FEWEST:
                return below, usual()
            if max(strides) > 1:
                return below, products()
            places = above.shape[1:3].num_elements()
            if places is None:  # trained at several sizes
                return below, tf.cond(tf.reduce_prod(tf.shape(above)[1:3]) <= SMALL, products, usual)
            return below, products() if places <= SMALL else usual()

        return tf.nn.conv2d(inputs, kernel, strides, "SAME"), backward

    return convolve(inputs, kernel)


def kernel_gradient(maps: tf.Tensor, above: tf.Tensor, shape: tuple[int, ...], strides: tuple[int, int]) -> tf.Tensor:
    """Gradient of a kernel: at each of its places, the product of the maps that it meets there and the gradients above.

    Args:
        maps: (B, H, W, C), what was convolved, with as much around it as keeps its size.
        above: (B, H / strides, W / strides, F), the gradients of the result.
        shape: of the kernel, (K, L, C, F).
        strides: of the convolution.

    Returns:
        (K, L, C, F) of the type of the maps.
    """
    maps, above = (tf.transpose(one, (1, 0, 2, 3)) for one in (maps, above))  # rows first: each is one piece of memory
    padding, places = [[0, 0]] * 4, []
    for axis, (side, stride) in enumerate(zip(shape[:2], strides, strict=True)):
        count, axis = tf.shape(above)[2 * axis], 2 * axis
        around = tf.maximum((count - 1) * stride + side - tf.shape(maps)[axis], 0)
        padding[axis] = [around // 2, around - around // 2]
        places.append(tf.range(count) * stride)
    maps, above = tf.pad(maps, padding), tf.reshape(above, (-1, shape[3]))
    columns = [tf.gather(maps, places[1] + column, axis=2) for column in range(shape[1])]

    def product(row: int, column: int) -> tf.Tensor:
        met = tf.gather(columns[column], places[0] + row)
        return tf.matmul(tf.reshape(met, (-1, shape[2])), above, transpose_a=True)

    products = [product(row, column) for row in range(shape[0]) for column in range(shape[1])]
    return tf.reshape(tf.concat(products, 0), shape)
