"""How the networks of the zoo are trained: a table of recipes, pure data.

Where the papers' schedules need hundreds of epochs, these have few and a learning rate that rises
and falls once or twice: they are meant for two CPU cores. Weight decay is decoupled, as Keras has
it: each step takes `learning_rate * weight_decay` of every weight. Under momentum 0.9 this is ten
times the number that PyTorch's SGD would be given.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

_DIGITS = {"pixel_mean": (0.305,), "pixel_std": (0.376,)}
_MNIST = {"pixel_mean": (0.1307,), "pixel_std": (0.3081,)}
_CIFAR10 = {"pixel_mean": (0.4914, 0.4822, 0.4465), "pixel_std": (0.2470, 0.2435, 0.2616)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained.

    Attributes:
        name: Name of the recipe and of the zoo's pair that it makes.
        dataset: Name for `mc_keras.zoo.load_data`.
        architecture: Name for `mc_keras.zoo.architectures.build`.
        config: The architecture's other arguments.
        training_config: Those of them that differ in training. `{"batch_norm": True}`: the network
            is trained with batch normalisation, which is folded into its weights at the end.
        epochs: Passes over the training split.
        batch_size: Images in one step.
        optimizer: `"sgd"` (Nesterov momentum 0.9) or `"adam"`.
        learning_rate: Its peak. It rises linearly from 0 and falls to 0 along a cosine.
        warmup: Fraction of a cycle in which the learning rate rises. 0: plain cosine schedule;
            about 0.2: a one-cycle schedule.
        cycles: It rises and falls once for each, in parts of the epochs of these sizes:
            `(2, 1)` are two thirds and one (Loshchilov and Hutter, SGDR, 2017,
            https://arxiv.org/abs/1608.03983).
        weight_decay: Decoupled, see above.
        augmentation: `"none"`, or `"crop_flip"`: images are padded with 4 black pixels on each
            side, cut to their size at a random place, and mirrored half of the time. Or
            `"mirror_crop_flip"`, the same with the image mirrored at its edges instead of black,
            which looks more like the images of the test. Or `"small_mirror_crop_flip"`, that with 2
            pixels, for small networks, which learn slowly what moves far.
        dtype_policy: Keras's dtype policy in training. Weights are float32 in any case.
            `"mixed_bfloat16"` is for machines that compute in it at speed: others, which take many
            times as long, train in float32.
        half_precision: Whether the network is, in the end, the one whose kernels are rounded to
            float16: for those that would be too large a file otherwise.
        seeds: Seeds of the two ends of the zoo's pair.
    """

    name: str
    dataset: str
    architecture: str
    config: Mapping[str, Any]
    training_config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epochs: int
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float
    warmup: float = 0.2
    cycles: tuple[int, ...] = (1,)
    weight_decay: float = 0.0
    augmentation: str = "none"
    dtype_policy: str = "float32"
    half_precision: bool = False
    seeds: tuple[int, int] = (0, 1)

    def describe(self) -> dict[str, Any]:
        """All attributes, as runs keep them: runs of before there were cycles have one, unsaid."""
        attributes = dataclasses.asdict(self)
        if self.cycles == (1,):
            del attributes["cycles"]
        return attributes


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="fc_digits",
            dataset="digits",
            architecture="fully_connected",
            config={**_DIGITS, "hidden": (32, 32, 32)},
            epochs=60,
            batch_size=32,
            learning_rate=0.05,
            weight_decay=5e-3,
        ),
        Recipe(
            name="fc1_digits",
            dataset="digits",
            architecture="fully_connected",
            config={**_DIGITS, "hidden": (256,)},
            epochs=60,
            batch_size=32,
            learning_rate=0.05,
            weight_decay=5e-3,
        ),
        Recipe(
            name="conv_digits",
            dataset="digits",
            architecture="conv2fc1",
            config={**_DIGITS, "filters": (8, 16)},
            epochs=60,
            batch_size=32,
            learning_rate=0.03,
            weight_decay=5e-3,
        ),
        Recipe(
            name="resnet_digits",
            dataset="digits",
            architecture="preactivation_resnet",
            config={**_DIGITS, "depth": 8, "width": 8},
            epochs=40,
            batch_size=32,
            learning_rate=0.1,
            weight_decay=5e-3,
        ),
        Recipe(
            name="fc_mnist",
            dataset="mnist",
            architecture="fully_connected",
            config={**_MNIST, "hidden": (2000,)},
            epochs=15,
            learning_rate=0.05,
            weight_decay=1e-3,
        ),
        Recipe(
            name="fc_cifar10",
            dataset="cifar10",
            architecture="fully_connected",
            config={**_CIFAR10, "hidden": (2000,)},
            epochs=20,
            batch_size=256,
            learning_rate=0.03,
            weight_decay=5e-3,
            augmentation="mirror_crop_flip",
        ),
        Recipe(
            name="fc3_cifar10",
            dataset="cifar10",
            architecture="fully_connected",
            config={**_CIFAR10, "hidden": (6144, 2000), "use_bias": False},
            epochs=24,
            batch_size=256,
            learning_rate=0.03,
            weight_decay=5e-3,
            augmentation="small_mirror_crop_flip",
            dtype_policy="mixed_bfloat16",
        ),
        Recipe(
            name="conv2fc1_cifar10",
            dataset="cifar10",
            architecture="conv2fc1",
            config={**_CIFAR10, "filters": (32, 64)},
            training_config={"batch_norm": True},
            epochs=60,
            learning_rate=0.1,
            weight_decay=5e-3,
            augmentation="small_mirror_crop_flip",
            dtype_policy="mixed_bfloat16",
        ),
        Recipe(
            name="vgg16_cifar10",
            dataset="cifar10",
            architecture="vgg",
            config=_CIFAR10,
            training_config={"batch_norm": True},
            epochs=36,
            cycles=(2, 1, 2, 2, 2),
            learning_rate=0.05,
            weight_decay=5e-3,
            augmentation="mirror_crop_flip",
            dtype_policy="mixed_bfloat16",
            half_precision=True,
        ),
        Recipe(
            name="resnet20_cifar10",
            dataset="cifar10",
            architecture="preactivation_resnet",
            config={**_CIFAR10, "depth": 20, "width": 16},
            epochs=60,
            cycles=(1, 1),
            learning_rate=0.2,
            weight_decay=5e-3,
            augmentation="mirror_crop_flip",
        ),
        Recipe(
            name="resnet20_noskip_cifar10",
            dataset="cifar10",
            architecture="preactivation_resnet",
            config={**_CIFAR10, "depth": 20, "width": 16, "skip": False},
            epochs=14,
            learning_rate=0.1,
            weight_decay=5e-3,
            augmentation="mirror_crop_flip",
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        ValueError: If there is none; the nearest name is suggested.

    Example:
    >>> get_recipe("fc_mnist").config["hidden"]
    (2000,)
    """
    if name not in RECIPES:
        nearest = difflib.get_close_matches(str(name), RECIPES, n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(f"There is no recipe {name!r}. {hint}There are: {', '.join(RECIPES)}.")
    return RECIPES[name]
