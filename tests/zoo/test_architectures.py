"""Exact sizes of the papers' networks, what goes in and comes out, and where TensorFlow may be."""

import ast
import itertools
import pathlib

import keras
import numpy as np
import pytest

import mc_keras.zoo
from mc_keras.zoo import architectures

CIFAR10 = {"pixel_mean": (0.49, 0.48, 0.44), "pixel_std": (0.25, 0.24, 0.26)}
MNIST = {"pixel_mean": (0.13,), "pixel_std": (0.31,)}

SMALL = {
    "fully_connected": {"hidden": (7, 5)},
    "conv2fc1": {"filters": (5, 7)},
    "vgg": {"stages": ((5,), (7, 6)), "hidden": (9,), "batch_norm": True, "dropout": 0.5},
    "preactivation_resnet": {"depth": 8, "width": 5},
}


def cifar10_network(name, **config):
    return architectures.build(name, (32, 32, 3), 10, **CIFAR10, **config)


def small_network(name):
    config = {**CIFAR10, **SMALL[name]}
    return architectures.build(name, (12, 16, 3), 11, **config)


def kernel_shapes(model):
    return [tuple(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")]


def num_trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_fully_connected_of_mnist():
    model = architectures.build("fully_connected", (28, 28, 1), 10, **MNIST)
    assert kernel_shapes(model) == [(784, 2000), (2000, 10)]
    assert num_trainable(model) == 784 * 2000 + 2000 + 2000 * 10 + 10


def test_fully_connected_of_cifar10():
    model = cifar10_network("fully_connected")
    assert kernel_shapes(model) == [(3072, 2000), (2000, 10)]
    assert num_trainable(model) == 6_166_010


def test_fc3_has_no_biases():
    model = cifar10_network("fully_connected", hidden=(6144, 2000), use_bias=False)
    assert kernel_shapes(model) == [(3072, 6144), (6144, 2000), (2000, 10)]
    assert num_trainable(model) == 3072 * 6144 + 6144 * 2000 + 2000 * 10


def test_conv2fc1():
    model = cifar10_network("conv2fc1")
    assert kernel_shapes(model) == [(5, 5, 3, 32), (5, 5, 32, 64), (3136, 10)]
    assert num_trainable(model) == 85_066
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert [(pool.pool_size, pool.strides) for pool in pools] == [((3, 3), (2, 2))] * 2


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg16(batch_norm):
    model = cifar10_network("vgg", batch_norm=batch_norm)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = [(3, 3, a, b) for a, b in itertools.pairwise(widths)]
    assert kernel_shapes(model) == [*convolutions, (512, 512), (512, 512), (512, 10)]
    assert num_trainable(model) == 15_245_130 + batch_norm * 2 * sum(widths[1:])
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert len(norms) == 13 * batch_norm


@pytest.mark.parametrize(
    ("config", "count"),
    [
        # Summed over the layers of PreResNet in github.com/timgaripov/dnn-mode-connectivity.
        ({"depth": 20}, 272_282),
        ({"depth": 56}, 590_426),
        ({"depth": 110}, 1_146_842),
        ({"depth": 20, "width": 64}, 4_326_986),
        ({"depth": 20, "skip": False}, 272_282 - 16 * 32 - 32 * 64),
    ],
)
def test_resnet_parameters(config, count):
    assert num_trainable(cifar10_network("preactivation_resnet", **config)) == count


@pytest.mark.parametrize("depth", [8, 20, 56, pytest.param(110, marks=pytest.mark.slow)])
def test_resnet_depth_is_that_of_its_main_branch(depth):
    model = cifar10_network("preactivation_resnet", depth=depth, width=4)
    main = [x for x in model.layers if hasattr(x, "kernel") and "shortcut" not in x.name]
    assert len(main) == depth
    blocks = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert len(blocks) == (depth - 2) // (6 if depth < 44 else 9) * 3


def test_resnet_stages_halve_the_image_and_double_the_channels():
    model = cifar10_network("preactivation_resnet", depth=20, width=5)
    ends = [model.get_layer(f"stage{i}_block3_add").output.shape[1:] for i in (1, 2, 3)]
    assert ends == [(32, 32, 5), (16, 16, 10), (8, 8, 20)]
    bottlenecks = cifar10_network("preactivation_resnet", depth=56, width=5)
    ends = [bottlenecks.get_layer(f"stage{i}_block6_add").output.shape[1:] for i in (1, 2, 3)]
    assert ends == [(32, 32, 20), (16, 16, 40), (8, 8, 80)]


def test_resnet_normalises_before_each_convolution_but_the_stem():
    model = cifar10_network("preactivation_resnet", depth=20)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and "stem" not in layer.name:
            before = layer.input._keras_history.operation
            if "shortcut" in layer.name:
                assert not isinstance(before, keras.layers.ReLU)
            else:
                assert isinstance(before, keras.layers.ReLU)
                norm = before.input._keras_history.operation
                assert isinstance(norm, keras.layers.BatchNormalization)


def test_resnet_without_skip_connections_adds_nothing():
    model = cifar10_network("preactivation_resnet", skip=False)
    assert not [x for x in model.layers if isinstance(x, keras.layers.Add) or "short" in x.name]


@pytest.mark.parametrize("name", SMALL)
def test_raw_images_in_logits_out(name):
    model = small_network(name)
    architectures.initialize(model, 0)
    assert model.input.dtype == "uint8"
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 16, 3), "uint8")
    logits = model.predict(images, verbose=0)
    assert logits.shape == (6, 11)
    assert logits.dtype == np.float32
    assert (logits < 0).any()  # no softmax
    assert not np.allclose(logits.sum(-1), 1)
    assert len({row.tobytes() for row in logits}) == 6


@pytest.mark.parametrize("name", SMALL)
def test_round_trip_through_config_and_file(name, tmp_path):
    model = small_network(name)
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 16, 3), "uint8")
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        again.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )


def test_normalisation_is_the_first_layer():
    model = small_network("fully_connected")
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 16, 3), "uint8")
    found = keras.ops.convert_to_numpy(model.get_layer("normalise")(images))
    expected = (images / 255 - CIFAR10["pixel_mean"]) / CIFAR10["pixel_std"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_images_are_normalised_in_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_network("vgg")
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("normalise").compute_dtype == "float32"
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    assert {v.dtype for v in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize("name", SMALL)
def test_weights_follow_the_seed(name):
    first, same, other = (small_network(name) for _ in range(3))
    for model, seed in ((first, 3), (same, 3), (other, 4)):
        architectures.initialize(model, seed)
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [i for i, v in enumerate(first.weights) if v.name == "kernel"]
    for i in kernels:
        assert np.abs(first.get_weights()[i] - other.get_weights()[i]).min() > 0


def test_kernels_have_the_variance_of_he():
    model = architectures.build("fully_connected", (28, 28, 1), 10, **MNIST)
    architectures.initialize(model, 0)
    hidden, bias, logits, _ = model.get_weights()
    assert hidden.var() == pytest.approx(2 / 784, rel=0.01)
    assert logits.var() == pytest.approx(1 / 2000, rel=0.05)
    assert not bias.any()


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("vgg61", {}, "no architecture 'vgg61'. Did you mean 'vgg'"),
        ("fully_connected", {"width": 5}, "cannot be built.*'width'"),
        ("preactivation_resnet", {"depth": 21}, r"6 n \+ 2 below 44.*depth=21"),
        ("preactivation_resnet", {"depth": 50}, r"9 n \+ 2 from 44 on.*depth=50"),
        ("vgg", {"stages": ((4,),) * 6}, "they need at least 64x64 pixels.*Give fewer `stages`"),
        ("conv2fc1", {"pixel_std": (0.0, 1.0, 1.0)}, "`pixel_std` > 0 need one number"),
        ("conv2fc1", {"pixel_mean": (0.5,)}, "for each of the 3 channels"),
    ],
)
def test_configurations_that_cannot_be(name, config, message):
    with pytest.raises(ValueError, match=message):
        architectures.build(name, (32, 32, 3), 10, **{**CIFAR10, **config})


def test_image_shape_is_checked():
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\).*\(32, 32\)"):
        architectures.build("conv2fc1", (32, 32), 10, **CIFAR10)


def test_models_and_training_know_no_backend():
    zoo = pathlib.Path(mc_keras.zoo.__file__).parent
    files = [*(zoo / "architectures").glob("*.py")]
    files += [zoo / f"{name}.py" for name in ("checkpoint", "recipes", "training")]
    files.append(pathlib.Path(mc_keras.__file__).parent / "batches.py")
    assert len(files) > 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            roots = {name.split(".")[0] for name in imported}
            assert not roots & {"tensorflow", "jax", "torch", "tf_keras"}, file
