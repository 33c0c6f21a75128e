"""The tables of Anokhin and Yarotsky, 2020, as pure data: worst accuracies along paths, per cent.

A row is named like the connector that makes its paths. The paper prints a mean and a standard
deviation; table 2 is known here with its means only.
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """A published number, in per cent.

    Attributes:
        mean: Over the paper's pairs of networks.
        sd: Standard deviation over them, where known.
        doubtful: Whether it is likely to be a misprint: it contradicts its neighbours.
    """

    mean: float
    sd: float | None = None
    doubtful: bool = False


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        name: Of the connector, `"polychain5"` for a chain of five points, `"ends"` for the ends.
        label: As the paper has it.
        train: Worst accuracy on the training split; `None` where the paper has none.
        test: The same on the test split.
    """

    name: str
    label: str
    train: Figure | None = None
    test: Figure | None = None


class Table(NamedTuple):
    """One table, or the columns of it that belong to one network.

    Attributes:
        name: Of its default folder.
        title: What it shows.
        pair: Pair of the zoo, and recipe, whose networks it is about.
        rows: In the paper's order.
        num_points: Positions at which its paths are measured, besides their knots.
        train_examples: Training examples, from the first on, that they are measured on; `None` for
            all. Fewer where a person would wait for hours.
        fit_examples: Likewise, drawn at random, those that layers are solved for on.
    """

    name: str
    title: str
    pair: str
    rows: tuple[Row, ...]
    num_points: int = 61
    train_examples: int | None = None
    fit_examples: int | None = None

    def row(self, name: str) -> Row:
        """The row of this name; one without published numbers if the paper has none."""
        return next((row for row in self.rows if row.name == name), Row(name, name))


ENDS = "ends"
OURS = "best"

_LABELS = {
    "linear": "Linear",
    "arc": "Arc",
    "iaf_flow": "IAF flow",
    "rnvp_bijection": "RNVP bijection",
    "linear+bfly": "Linear + B-fly",
    "arc+bfly": "Arc + B-fly",
    "linear+wa": "Linear + WA",
    "arc+wa": "Arc + WA",
    "ot": "OT",
    "ot+bfly": "OT + B-fly",
    "ot+wa": "OT + WA",
    "polychain": "Garipov (3)",
    "polychain5": "Garipov (5)",
    OURS: "best (ours)",
    ENDS: "End points",
}

_ONE_LAYER = (
    "linear",
    "arc",
    "iaf_flow",
    "rnvp_bijection",
    "linear+wa",
    "arc+wa",
    "ot",
    "ot+wa",
    "polychain",
    "polychain5",
)
_DEEP = (
    "linear",
    "arc",
    "linear+bfly",
    "arc+bfly",
    "linear+wa",
    "arc+wa",
    "ot+bfly",
    "ot+wa",
    "polychain",
)


def _table(
    name: str,
    title: str,
    pair: str,
    rows: tuple[str, ...],
    figures: dict[str, tuple[Figure, Figure]],
    **effort: int,
) -> Table:
    names = (*rows, OURS, ENDS)
    cells = tuple(Row(n, _LABELS[n], *figures.get(n, (None, None))) for n in names)
    return Table(name, title, pair, cells, **effort)


# What a person waits for: the rows without trainings take some minutes on two cores.
_EFFORT_ONE_LAYER = {"num_points": 31}
_EFFORT_DEEP = {"num_points": 11, "train_examples": 10_000, "fit_examples": 20_000}

_MNIST = {
    "linear": (Figure(96.54, 0.40), Figure(95.87, 0.40)),
    "arc": (Figure(97.89, 0.11), Figure(97.03, 0.14)),
    "iaf_flow": (Figure(96.34, 0.54), Figure(95.80, 0.45)),
    "rnvp_bijection": (Figure(98.50, 0.09), Figure(97.53, 0.11)),
    "linear+wa": (Figure(98.76, 0.01), Figure(97.86, 0.05)),
    "arc+wa": (Figure(98.75, 0.01), Figure(97.86, 0.05)),
    "ot": (Figure(98.78, 0.01), Figure(97.87, 0.04)),
    "ot+wa": (Figure(98.92, 0.01), Figure(97.91, 0.03)),
    "polychain": (Figure(99.10, 0.01), Figure(97.98, 0.02)),
    "polychain5": (Figure(99.03, 0.01), Figure(97.93, 0.02)),
    ENDS: (Figure(99.14, 0.01), Figure(98.01, 0.03)),
}
# A straight line that is better on the test split, and weight adjustment, which is fitted on the
# training split, that is worse there: two misprints, or more.
_CIFAR10 = {
    "linear": (Figure(32.09, 1.33, doubtful=True), Figure(39.34, 1.52, doubtful=True)),
    "arc": (Figure(49.97, 0.86), Figure(41.34, 1.39)),
    "rnvp_bijection": (Figure(63.46, 0.27), Figure(53.94, 0.95)),
    "linear+wa": (Figure(52.63, 0.59, doubtful=True), Figure(57.66, 0.26)),
    "arc+wa": (Figure(58.77, 0.32, doubtful=True), Figure(57.88, 0.24)),
    "ot": (Figure(66.19, 0.23), Figure(56.49, 0.46)),
    "ot+wa": (Figure(67.02, 0.12), Figure(58.96, 0.21)),
    "polychain": (Figure(68.51, 0.08), Figure(58.74, 0.23)),
    "polychain5": (Figure(67.20, 0.12), Figure(57.88, 0.32)),
    ENDS: (Figure(70.60, 0.12), Figure(59.12, 0.26)),
}
_FC3 = {
    "linear": (Figure(31.10), Figure(27.19)),
    "arc": (Figure(46.39), Figure(40.17)),
    "linear+bfly": (Figure(47.81), Figure(38.38)),
    "arc+bfly": (Figure(60.60), Figure(49.63)),
    "linear+wa": (Figure(60.93), Figure(51.87)),
    "arc+wa": (Figure(71.10), Figure(58.86)),
    "ot+bfly": (Figure(81.95), Figure(59.11)),
    "ot+wa": (Figure(87.53), Figure(61.67)),
    "polychain": (Figure(94.56), Figure(61.38)),
    ENDS: (Figure(95.13), Figure(63.25)),
}
_CONV2FC1 = {
    "linear": (Figure(25.86), Figure(25.41)),
    "arc": (Figure(31.03), Figure(30.44)),
    "linear+bfly": (Figure(44.08), Figure(42.46)),
    "arc+bfly": (Figure(56.67), Figure(54.56)),
    "linear+wa": (Figure(71.09), Figure(67.07)),
    "arc+wa": (Figure(77.36), Figure(73.77)),
    "ot+bfly": (Figure(76.94), Figure(73.66)),
    "ot+wa": (Figure(82.37), Figure(78.11)),
    "polychain": (Figure(85.10), Figure(80.95)),
    ENDS: (Figure(87.18), Figure(82.61)),
}
_VGG16 = {
    "linear": (Figure(10.0), Figure(10.0)),
    "arc": (Figure(10.0), Figure(10.0)),
    "linear+bfly": (Figure(8.41), Figure(8.57)),
    "arc+bfly": (Figure(3.67), Figure(4.54)),
    "linear+wa": (Figure(94.16), Figure(87.55)),
    "arc+wa": (Figure(95.35), Figure(88.56)),
    "ot+bfly": (Figure(75.42), Figure(68.56)),
    "ot+wa": (Figure(96.61), Figure(89.24)),
    "polychain": (Figure(99.69), Figure(91.25)),
    ENDS: (Figure(99.99), Figure(91.67)),
}

TABLE_1 = {
    "mnist": _table(
        "table1_mnist",
        "Table 1, MNIST: one hidden layer of 2000 units",
        "fc_mnist",
        _ONE_LAYER,
        _MNIST,
        **_EFFORT_ONE_LAYER,
    ),
    "cifar10": _table(
        "table1_cifar10",
        "Table 1, CIFAR-10: one hidden layer of 2000 units",
        "fc_cifar10",
        _ONE_LAYER,
        _CIFAR10,
        **_EFFORT_ONE_LAYER,
    ),
}
TABLE_2 = {
    "fc3": _table(
        "table2_fc3",
        "Table 2, FC3: 3072-6144-2000-10 without biases, CIFAR-10",
        "fc3_cifar10",
        _DEEP,
        _FC3,
        **_EFFORT_DEEP,
    ),
    "conv2fc1": _table(
        "table2_conv2fc1",
        "Table 2, Conv2FC1: two convolutions and a dense layer, CIFAR-10",
        "conv2fc1_cifar10",
        _DEEP,
        _CONV2FC1,
        **_EFFORT_DEEP,
    ),
    "vgg16": _table(
        "table2_vgg16",
        "Table 2, VGG16 without batch normalisation, CIFAR-10",
        "vgg16_cifar10",
        _DEEP,
        _VGG16,
        **_EFFORT_DEEP,
    ),
    # The paper has no such network.
    "resnet20": _table(
        "table2_resnet20",
        "Table 2's methods on ResNet-20, CIFAR-10",
        "resnet20_cifar10",
        _DEEP,
        {},
        **_EFFORT_DEEP,
    ),
}
