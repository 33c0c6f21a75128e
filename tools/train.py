"""Trains one end of a pair of the zoo.

    mc-train --recipe=fc_digits --seed=0
    mc-train --recipe=resnet20_cifar10 --seed=1 --data_dir=~/tensorflow_datasets

Weights (model.weights.h5), a card of what was done and measured (card.json) and a log (log.csv) go
to --directory. Interrupted, it goes on where it was when it is called again.
"""

from collections.abc import Sequence

from absl import flags

from mc_keras.tools import program

_RECIPE = flags.DEFINE_string("recipe", None, "Name of a recipe of the zoo.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Of the run.", lower_bound=0)
_DIRECTORY = flags.DEFINE_string(
    "directory", None, "Folder of the run. Default: runs/RECIPE/seedSEED."
)
_EPOCHS = flags.DEFINE_integer("epochs", None, "Instead of the recipe's number.", lower_bound=1)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: TFDS_DATA_DIR, else that of TFDS."
)
_TENSORBOARD = flags.DEFINE_boolean("tensorboard", default=False, help="Log for TensorBoard too.")
_VERBOSE = flags.DEFINE_integer(
    "verbose", 1, "0: silent, 1: progress bar, 2: a line per epoch.", lower_bound=0, upper_bound=2
)


def main(argv: Sequence[str]) -> None:
    del argv
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


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
