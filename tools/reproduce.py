"""Measure the tables of Anokhin and Yarotsky, 2020, again, beside the paper's numbers.

    mc-reproduce --table=1 --dataset=mnist
    mc-reproduce --table=2 --network=conv2fc1 --rows=linear,arc,ot
    mc-reproduce --table=1 --dataset=cifar10 --populations=runs/fc_cifar10/30-35.networks

Prints the table (worst accuracy along the path, mean and standard deviation over the pairs of
networks) and writes, to --output_dir: table.md, table.csv, table.json, table.png, the accuracies
along the paths as curves_PAIR_SPLIT.png, and a report for each row and pair. Rows that are done are
kept; a run that was killed goes on where it was when it is called again, and the rows may come in
any order. The pairs are the zoo's and those that --pairs, --runs and --populations name. So that
nobody waits for hours, table 2 is about the first training examples only, as is said below it:
--fit_examples, --train_examples and --num_points change that.

    mc-reproduce --figure=5 --network=conv2fc1

draws the error along layer-by-layer paths between the zoo's pair that were adjusted on --small and
on all training examples, as figure5.png and figure5.json; its --rows are methods that take data.

    mc-reproduce --study=width --dataset=digits
    mc-reproduce --study=depth --sizes=1,2,3 --num_pairs=1

trains pairs of fully connected networks of growing width, or depth, kept below --output_dir, and
writes study.md, study.csv, study.json and study.png: the worst accuracies against the size. Sizes
of earlier runs with the same settings stay in them.
"""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from mc_keras.tools import program
from mc_keras.tools.table_pairs import Sources, pairs_of

if TYPE_CHECKING:
    from mc_keras.reproduction import Table
    from mc_keras.tools.table_pairs import Pairs
    from mc_keras.zoo.datasets import DataSet
    from mc_keras.zoo.recipes import Recipe

_TABLE = flags.DEFINE_enum("table", None, ["1", "2"], "Which table.")
_FIGURE = flags.DEFINE_enum("figure", None, ["5"], "Instead of --table: which figure.")
_STUDY = flags.DEFINE_enum(
    "study",
    None,
    ["width", "depth"],
    "Instead of --table: fully connected networks of which growing size.",
)
_DATASET = flags.DEFINE_enum(
    "dataset",
    None,
    ["digits", "mnist", "cifar10"],
    "Which half of table 1: networks of one hidden layer, on mnist or cifar10. Or the data of a "
    "study, digits if not given.",
)
_NETWORK = flags.DEFINE_enum(
    "network", None, ["conv2fc1", "fc3", "vgg16", "resnet20"], "Which network of table 2."
)
_SMALL = flags.DEFINE_integer(
    "small", 500, "Examples of the small training set of figure 5.", lower_bound=1
)
_ROWS = flags.DEFINE_list(
    "rows",
    None,
    "Rows to compute, by the name of the method, separated by commas; methods that are not in the "
    "table too. Default: those of the table that there are methods for; of a study: linear, arc, "
    "ot, linear+wa, ot+wa, best.",
)
_SIZES = flags.DEFINE_list(
    "sizes",
    None,
    "Study: numbers of units, or of layers. Default: 250,500,1000,2000,4000 units of one hidden "
    "layer; 1,2,3,4,5 layers of 250 units.",
)
_NUM_PAIRS = flags.DEFINE_integer(
    "num_pairs",
    None,
    "Study: pairs of networks to train for each size. Default: 3 on digits, else 1.",
    lower_bound=1,
)
_TRAINING_EPOCHS = flags.DEFINE_integer(
    "training_epochs",
    None,
    "Study: epochs of the networks. Default: those of the zoo's recipe for the data.",
    lower_bound=1,
)
_PAIRS = flags.DEFINE_list(
    "pairs", [], "Further pairs, DIR_A:DIR_B,..., of folders that mc-train wrote."
)
_RUNS = flags.DEFINE_string(
    "runs",
    None,
    "Folder of mc-train's runs: seeds that the zoo's pair has not are paired in order.",
)
_POPULATIONS = flags.DEFINE_list(
    "populations",
    [],
    "Files of networks, as mc-train --count writes them, or populations of the zoo: their networks "
    "are paired in order, those of the zoo's pair left out.",
)
_SOURCE = flags.DEFINE_string(
    "source", None, "Folder or base URL of the zoo's pair. Default: as for mc-zoo fetch."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of prepared data sets. Default: TFDS_DATA_DIR, else that of TFDS."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder to write to. Default: reproduced/TABLE, such as table1_mnist, or width_digits.",
)
_NUM_POINTS = flags.DEFINE_integer(
    "num_points",
    None,
    "Positions at which a path is measured, besides its knots. Default: 31 for table 1, 11 for "
    "table 2, else 61.",
    lower_bound=2,
)
_TRAIN_EXAMPLES = flags.DEFINE_integer(
    "train_examples",
    None,
    "Training examples, from the first on, that paths are measured on. Default: 10000 for table 2, "
    "else all.",
    lower_bound=1,
)
_FIT_EXAMPLES = flags.DEFINE_integer(
    "fit_examples",
    None,
    "Training examples, drawn at random, that layers are solved for on. Default: 20000 for table "
    "2, else as many as fit into memory.",
    lower_bound=1,
)
_CONNECTIONS = flags.DEFINE_list(
    "connections",
    [],
    "Connection models of your own, as mc-train --connection writes them, ROW=FILE,..., such as "
    "iaf_flow=runs/my_flow/connection.keras. Default: those of the zoo that fit.",
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", 30, "Epochs of the trained chains, Garipov (3) and (5).", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_KEEP_PATHS = flags.DEFINE_boolean(
    "keep_paths", default=False, help="Keep the files of measured paths; they may be large."
)
_VERBOSE = flags.DEFINE_integer(
    "verbose",
    1,
    "0: silent, 1: a progress bar and a line for each row, 2: a bar for each training and "
    "evaluation.",
    lower_bound=0,
    upper_bound=2,
)

# Flags that each choice has no use for, and why.
_WITHOUT_USE = {
    "study": (
        ("network", "small", "pairs", "runs", "populations", "source", "connections"),
        "a study trains networks of its own, the tables and the figure are about those of the zoo",
    ),
    "table": (
        ("sizes", "num_pairs", "training_epochs", "small"),
        "a table is about networks that are there, and has no small training set",
    ),
    "figure": (
        (
            *("sizes", "num_pairs", "training_epochs", "pairs", "runs", "populations"),
            *("fit_examples", "train_examples", "epochs", "keep_paths", "connections"),
        ),
        "the figure is about the zoo's pair, and paths that are adjusted on --small and on all "
        "training examples, and measured on the same",
    ),
}


def main(argv: Sequence[str]) -> None:
    del argv
    _check_flags()
    if _STUDY.value is not None:
        _compare_sizes()
        return
    import mc_keras as mc
    from mc_keras import reproduction
    from mc_keras.zoo.recipes import get_recipe

    table = (
        reproduction.TABLE_1[_DATASET.value]
        if _DATASET.value is not None
        else reproduction.TABLE_2[_NETWORK.value]
    )
    recipe = get_recipe(table.pair)
    data = mc.zoo.load_data(recipe.dataset, data_dir=_DATA_DIR.value)
    sources = Sources(_PAIRS.value, _RUNS.value, _POPULATIONS.value, _SOURCE.value)
    pairs = pairs_of(table, data, sources, verbose=_VERBOSE.value)
    if _FIGURE.value is None:
        _reproduce_table(table, pairs, data, recipe)
    else:
        _draw_figure(table, pairs, data)


def _reproduce_table(table: "Table", pairs: "Pairs", data: "DataSet", recipe: "Recipe") -> None:
    from mc_keras import reproduction
    from mc_keras.reproduction.markdown import markdown_table

    connections = _connections()
    if _ROWS.value is None:
        for row in reproduction.missing_rows(table, next(iter(pairs.values()))[0], connections):
            print(f"Left out: {row}; {_why_left_out(row)}", file=sys.stderr)
    folder = _OUTPUT_DIR.value or f"reproduced/{table.name}"
    result = reproduction.reproduce(
        table,
        pairs,
        data,
        folder,
        rows=_ROWS.value,
        chains=reproduction.chains_between(recipe, _EPOCHS.value),
        connections=connections,
        num_points=_NUM_POINTS.value,
        train_examples=_TRAIN_EXAMPLES.value,
        fit_examples=_FIT_EXAMPLES.value,
        seed=_SEED.value,
        keep_paths=_KEEP_PATHS.value,
        about=_about(),
        verbose=_VERBOSE.value,
    )
    print(markdown_table(result))
    print(f"Table, figures and the reports on the paths are in {folder}.")


def _connections() -> dict[str, str]:
    from mc_keras.reproduction.rows import check_connections
    from mc_keras.zoo.connections import read_connection

    named = dict(word.partition("=")[::2] for word in _CONNECTIONS.value)
    if len(named) < len(_CONNECTIONS.value) or not all(named.values()):
        raise ValueError(
            "--connections must name one file for each row, ROW=FILE,..., received "
            f"{','.join(_CONNECTIONS.value)!r}."
        )
    check_connections(named)
    for file in named.values():
        read_connection(file)  # says what is the matter with it, before anything is measured
    return named


def _why_left_out(row: str) -> str:
    from mc_keras.flows import METHODS

    if row not in METHODS:
        return "no method here makes it, or none for such networks."
    return (
        "the zoo has no connection model for such networks. Train one by mc-train "
        f"--connection={row}, and pass it by --connections={row}=FILE."
    )


def _draw_figure(table: "Table", pairs: "Pairs", data: "DataSet") -> None:
    from mc_keras.reproduction.training_sizes import METHODS, compare_training_sizes, error

    folder = _OUTPUT_DIR.value or f"reproduced/figure5_{table.pair}"
    name, (start, end) = next(iter(pairs.items()))
    sizes = compare_training_sizes(
        start,
        end,
        data,
        folder,
        num_small=_SMALL.value,
        methods=_ROWS.value or METHODS,
        num_points=_NUM_POINTS.value or 61,
        seed=_SEED.value,
        about={**_about(), "pair": name},
        verbose=_VERBOSE.value,
    )
    print(f"{'worst error (%)':16}{'examples':>10}{'train':>9}{'test':>9}")
    for by_method in sizes.values():
        for method, report in by_method.items():
            train, test = (error(report, split).max() for split in ("train", "test"))
            examples = report.metadata["examples"]["train"]
            print(f"{method:16}{examples:10}{train:9.2f}{test:9.2f}")
    print(f"Figure and reports are in {folder}.")


def _compare_sizes() -> None:
    import mc_keras as mc
    from mc_keras import reproduction
    from mc_keras.reproduction.study_writing import study_markdown
    from mc_keras.zoo.sized_pairs import kept_pairs, one_layer_recipe, train_pairs, with_hidden

    sizes = _sizes()
    study = reproduction.STUDIES[_STUDY.value]._replace(dataset=_DATASET.value or "digits")
    folder = _OUTPUT_DIR.value or f"reproduced/{study.folder}"
    recipe = one_layer_recipe(study.dataset, epochs=_TRAINING_EPOCHS.value)
    data = mc.zoo.load_data(study.dataset, data_dir=_DATA_DIR.value)
    rows = reproduction.METHODS if _ROWS.value is None else _ROWS.value
    num_pairs = _NUM_PAIRS.value or (3 if study.dataset == "digits" else 1)

    def kept_networks(size: int) -> "Pairs | None":
        return kept_pairs(
            with_hidden(recipe, study.hidden(size)),
            num_pairs,
            f"{folder}/networks",
            first_seed=_SEED.value,
        )

    def networks(size: int) -> "Pairs":
        pairs = train_pairs(
            with_hidden(recipe, study.hidden(size)),
            num_pairs,
            f"{folder}/networks",
            first_seed=_SEED.value,
            data_dir=_DATA_DIR.value,
            verbose=_VERBOSE.value,
        )
        network = next(iter(pairs.values()))[0]
        for row in reproduction.missing_rows(study.table(size, rows), network):
            print(
                f"Left out of {size} {study.unit}: {row}; it does not apply to such networks here.",
                file=sys.stderr,
            )
        return pairs

    result = reproduction.compare_sizes(
        study,
        networks,
        data,
        folder,
        kept_networks=kept_networks,
        sizes=sizes,
        rows=rows,
        chains=reproduction.chains_between(recipe, _EPOCHS.value),
        num_points=_NUM_POINTS.value,
        train_examples=_TRAIN_EXAMPLES.value,
        fit_examples=_FIT_EXAMPLES.value,
        seed=_SEED.value,
        keep_paths=_KEEP_PATHS.value,
        about={**_about(), "recipe": recipe.describe()},
        verbose=_VERBOSE.value,
    )
    print(study_markdown(result))
    print(f"Tables, the figure, and a folder for each size are in {folder}.")


def _sizes() -> list[int] | None:
    try:
        return None if _SIZES.value is None else [int(word) for word in _SIZES.value]
    except ValueError:
        raise ValueError(
            "--sizes must be whole numbers separated by commas, such as --sizes=250,500; received "
            f"{','.join(_SIZES.value)!r}. Leave it out for the default sizes."
        ) from None


def _about() -> dict[str, str]:
    return {"command": shlex.join(["mc-reproduce", *sys.argv[1:]])}


def _check_flags() -> None:
    kinds = {"--table": _TABLE.value, "--figure": _FIGURE.value, "--study": _STUDY.value}
    chosen = [f"{flag}={value}" for flag, value in kinds.items() if value is not None]
    if len(chosen) != 1:
        raise ValueError(
            "Choose one of --table=1, --table=2, --figure=5, --study=width and --study=depth; "
            f"received {' and '.join(chosen) or 'none of them'}."
        )
    without_use, reason = _WITHOUT_USE[chosen[0].strip("-").partition("=")[0]]
    misplaced = [f"--{name}" for name in without_use if flags.FLAGS[name].present]
    if misplaced:
        raise ValueError(
            f"{' and '.join(misplaced)} cannot be combined with {chosen[0]}: {reason}. Leave out "
            "one of them."
        )
    if _ROWS.value == []:
        raise ValueError("--rows is empty; name rows separated by commas.")
    if _STUDY.value is None:
        _check_networks()


def _check_networks() -> None:
    if (
        (_DATASET.value is None) == (_NETWORK.value is None)
        or _DATASET.value == "digits"
        or (_TABLE.value is not None and (_TABLE.value == "1") != (_DATASET.value is not None))
    ):
        raise ValueError(
            "Choose the networks: by --dataset, one of mnist, cifar10, for table 1; by --network, "
            "one of conv2fc1, fc3, vgg16, resnet20, for table 2; by either for a figure."
        )


def run() -> None:
    program.run(main)


if __name__ == "__main__":
    run()
