"""Trains one end of a pair of the zoo, many networks at once, or what connects them.

    mc-train --recipe=fc_digits --seed=0
    mc-train --recipe=resnet20_cifar10 --seed=1 --data_dir=~/tensorflow_datasets
    mc-train --recipe=fc1_digits --seed=10 --count=16
    mc-train --recipe=fc1_digits --connection=rnvp_bijection
    mc-train --recipe=fc_mnist --connection=rnvp_flow --population=fc_mnist_10-25

Weights (model.weights.h5), a card of what was done and measured (card.json) and a log (log.csv) go
to --directory. Interrupted, it goes on where it was when it is called again.

With --count, fully connected networks of as many seeds, from --seed on, are trained in one program
into one file, DIRECTORY/FIRST-LAST.networks. With --connection, a connection model is trained on
--population and followed on --held_out, in DIRECTORY/CONNECTION; --seed, --epochs and
--learning_rate are its own. Both take seeds, FIRST-LAST, whose networks are in DIRECTORY and are
trained first by the recipe where they are not; a file of networks; or the name of a population of
the zoo.
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from mc_keras.tools import program

_RECIPE = flags.DEFINE_string("recipe", None, "Name of a recipe of the zoo.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Of the run.", lower_bound=0)
_DIRECTORY = flags.DEFINE_string(
    "directory", None, "Folder of the run. Default: runs/RECIPE/seedSEED."
)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Instead of the recipe's number.", lower_bound=1)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", None, "--connection: instead of the recipe's.", lower_bound=0.0
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: TFDS_DATA_DIR, else that of TFDS."
)
_TENSORBOARD = flags.DEFINE_boolean("tensorboard", default=False, help="Log for TensorBoard too.")
_COUNT = flags.DEFINE_integer("count", 1, "Number of networks.", lower_bound=1)
_CONNECTION = flags.DEFINE_string(
    "connection", None, "Train a connection model: rnvp_bijection, rnvp_flow or iaf_flow."
)
_POPULATION = flags.DEFINE_string(
    "population", "10-25", "--connection: the networks to learn from."
)
_HELD_OUT = flags.DEFINE_string(
    "held_out", "30-35", "--connection: other networks, two for each pair."
)
_VERBOSE = flags.DEFINE_integer(
    "verbose",
    1,
    "0: silent, 1: progress bar, in a log as 2, 2: a line per epoch.",
    lower_bound=0,
    upper_bound=2,
)


def main(argv: Sequence[str]) -> None:
    del argv
    _check_flags()
    if _CONNECTION.value is not None:
        _train_connection()
        return
    if _COUNT.value > 1:
        seeds = range(_SEED.value, _SEED.value + _COUNT.value)
        file = _train_population(seeds, _EPOCHS.value)
        print(f"The {len(seeds)} networks and their card are in {file}.")
        return
    from mc_keras.zoo import training

    directory = _DIRECTORY.value or f"runs/{_RECIPE.value}/seed{_SEED.value}"
    card = training.train(
        _RECIPE.value,
        _SEED.value,
        directory,
        epochs=_EPOCHS.value,
        data_dir=_DATA_DIR.value,
        tensorboard=_TENSORBOARD.value,
        verbose=_VERBOSE.value,
    )
    for split in ("train", "test"):
        accuracy, loss = (card["metrics"][f"{split}_{name}"] for name in ("accuracy", "loss"))
        print(f"{split:5}  accuracy {accuracy:8.2%}  loss {loss:.4f}")
    print(f"Weights, card and log are in {directory}.")


def _check_flags() -> None:
    """Refuses flags that would have no effect."""
    if _CONNECTION.value is None:
        for flag in (_LEARNING_RATE, _POPULATION, _HELD_OUT):
            if flag.present:
                raise ValueError(
                    f"--{flag.name} is for connection models; leave it out or add --connection."
                )
        if _COUNT.value > 1 and _TENSORBOARD.value:
            raise ValueError(
                "--tensorboard logs the training of one network, received "
                f"--count={_COUNT.value}; leave out one of the two."
            )
    elif _COUNT.present:
        raise ValueError(
            "--count is for networks, and a connection model is one; leave it out, and say by "
            "--population which networks it is trained on."
        )


def _train_population(seeds: Sequence[int], epochs: int | None = None) -> str:
    """Trains networks of several seeds, prints what they are worth, and names their file."""
    from mc_keras.zoo.population_training import train_population

    folder = _DIRECTORY.value or f"runs/{_RECIPE.value}"
    file = f"{folder}/{seeds[0]}-{seeds[-1]}.networks"
    header = train_population(
        _RECIPE.value,
        seeds,
        file,
        epochs=epochs,
        data_dir=_DATA_DIR.value,
        verbose=_VERBOSE.value,
    )
    for split in ("train", "test"):
        accuracies = [metrics[f"{split}_accuracy"] for metrics in header["metrics"]]
        print(f"{split:5}  accuracy {min(accuracies):8.2%} to {max(accuracies):.2%}")
    return file


def _train_connection() -> None:
    from mc_keras.zoo.connection_recipes import get_connection_recipe
    from mc_keras.zoo.connection_training import train_connection
    from mc_keras.zoo.populations import check_held_out

    own = (_SEED, _EPOCHS, _LEARNING_RATE)
    recipe = dataclasses.replace(
        get_connection_recipe(_RECIPE.value, _CONNECTION.value),
        **{flag.name: flag.value for flag in own if flag.present},
    )
    population, held_out = (_networks(flag.value) for flag in (_POPULATION, _HELD_OUT))
    check_held_out(f"--held_out={_HELD_OUT.value}", held_out[0], population[0])
    files = [file or _train_population(seeds) for seeds, file in (population, held_out)]
    directory = f"{_DIRECTORY.value or f'runs/{_RECIPE.value}'}/{_CONNECTION.value}"
    train_connection(
        recipe,
        *files,
        directory,
        data_dir=_DATA_DIR.value,
        tensorboard=_TENSORBOARD.value,
        verbose=_VERBOSE.value,
    )
    print(f"The connection model, its card and log are in {directory}.")


def _networks(text: str) -> tuple[Sequence[int], str | None]:
    """Seeds of the networks that a flag names, and their file if it names one."""
    from mc_keras.tools.inputs import population_file
    from mc_keras.zoo.populations import read_header

    file = population_file(text, verbose=_VERBOSE.value)
    if file is not None:
        return read_header(file)["seeds"], file
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()) or int(last) <= int(first):
        raise ValueError(
            "Networks are named by their file, by a population of the zoo or by their seeds as "
            f"FIRST-LAST, such as 10-25, received {text!r}."
        )
    return range(int(first), int(last) + 1), None


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
