"""The card of an entry: its README.md, made from the manifest so that the two cannot differ."""

from collections.abc import Callable, Sequence
from typing import Any

from mc_keras.zoo.entries import ROLES, AnyEntry, ConnectionEntry, Entry, PopulationEntry


def card_of(entry: AnyEntry) -> str:
    """The Markdown text of the card of an entry of any kind."""
    return _CARDS[type(entry)](entry)


def card_text(entry: Entry) -> str:
    """The Markdown text of a pair's card."""
    return _card(
        entry,
        use=[
            f'pair = mc.zoo.load_pair("{entry.name}")  # pair.start, pair.end: keras.Model',
            f'data = mc.zoo.load_data("{entry.dataset}")  # data.train, data.test: (x, y)',
        ],
        networks=["## Networks", "", f"Architecture {_architecture(entry)}"],
        measured=[
            "Measured on the stored weights; the loss is in nats per example.",
            "",
            *_table(
                ("end", "seed", "train accuracy", "train loss", "test accuracy", "test loss"),
                [(role, entry.seeds[role], *_measured(entry, role)) for role in ROLES],
            ),
            *_data(entry),
        ],
        training=[
            *_how_trained(entry),
            "",
            "```",
            *(entry.commands[role] for role in ROLES),
            "```",
            *_trained_at_once(entry),
            *(["", "Settings of that recipe:"] if entry.history else []),
        ],
    )


def connection_card_text(entry: ConnectionEntry) -> str:
    """The Markdown text of a connection model's card."""
    return _card(
        entry,
        use=[
            f'path = mc.connect(a, b, method="{entry.method}")  # a, b: networks of the recipe',
            f'flow = mc.zoo.load_connection("{entry.name}")  # the flow itself, a keras.Model',
        ],
        networks=[
            "## Networks that it connects",
            "",
            f"Any two of the recipe `{entry.recipe}`, units in any order: architecture "
            f"{_architecture(entry)}",
        ],
        measured=[
            "Measured on paths between networks that it was not trained on, and between those of "
            f"the zoo's pair `{entry.recipe}`, if it has one: the lowest accuracy and the highest "
            f"loss, in nats per example, on `{entry.dataset}`. Licence of the data: "
            f"{entry.dataset_license}",
            "",
            *_table(
                ("paths", "train accuracy", "train loss", "test accuracy", "test loss"),
                _worst_on_paths(entry),
            ),
        ],
        training=[
            f"On {len(entry.seeds)} networks, seeds {', '.join(map(str, entry.seeds))}, by",
            "",
            "```",
            entry.command,
            "```",
        ],
        verified="the file and measures the pair's path again."
        if entry.pair_metrics
        else "the file alone.",
    )


def population_card_text(entry: PopulationEntry) -> str:
    """The Markdown text of a population's card."""
    return _card(
        entry,
        use=[
            f'networks, info = mc.zoo.load_population("{entry.name}")  # of info["seeds"]',
            f'data = mc.zoo.load_data("{entry.dataset}")  # data.train, data.test: (x, y)',
        ],
        networks=[
            "## Networks",
            "",
            f"{entry.metrics['networks']:.0f} networks of the architecture {_architecture(entry)}",
        ],
        measured=[
            "Their accuracies, measured on the stored weights:",
            "",
            *_table(
                ("split", "mean", "lowest", "highest"),
                [
                    (
                        split,
                        *(
                            f"{100 * entry.metrics[f'{split}_{which}_accuracy']:.2f} %"
                            for which in ("mean", "lowest", "highest")
                        ),
                    )
                    for split in ("train", "test")
                ],
            ),
            *_data(entry),
        ],
        training=[
            f"Recipe `{entry.recipe}`; the networks differ in their seed only, {entry.seeds[0]} to "
            f"{entry.seeds[-1]}. Trained, and packed as here, by",
            "",
            "```",
            *entry.made_by,
            "```",
            "",
            "which makes their like where no place has the file.",
        ],
    )


_CARDS: dict[type[AnyEntry], Callable[[Any], str]] = {
    Entry: card_text,
    ConnectionEntry: connection_card_text,
    PopulationEntry: population_card_text,
}


def _card(
    entry: AnyEntry,
    *,
    use: Sequence[str],
    networks: Sequence[str],
    measured: Sequence[str],
    training: Sequence[str],
    verified: str = "all of this.",
) -> str:
    """What the cards of all kinds have, around the lines that are of one kind."""
    made_with = ", ".join(f"{name} {version}" for name, version in entry.versions.items())
    return "\n".join(
        [
            f"# {entry.name}",
            "",
            entry.description,
            "",
            *([entry.notes, ""] if entry.notes else []),
            "```python",
            "import mc_keras as mc",
            "",
            *use,
            "```",
            "",
            *networks,
            "",
            *_table(("argument", "value"), entry.architecture.config.items()),
            "",
            *measured,
            "",
            "## Training",
            "",
            *training,
            "",
            *_table(("setting", "value"), entry.training.items()),
            "",
            f"Made on {entry.created} with {made_with}.",
            "",
            "## Files" if len(entry.files) > 1 else "## File",
            "",
            *_table(
                ("file", "bytes", "sha256"),
                [(f.path, f.size, f"`{f.sha256}`") for f in entry.files.values()],
            ),
            "",
            f"Version {entry.version}. Licence of the weights: {entry.license}. "
            f"`mc-zoo verify {entry.name}` checks {verified}",
            "",
        ]
    )


def _how_trained(entry: Entry) -> list[str]:
    recipe = f"Recipe `{entry.recipe}`; the ends differ in their seed only."
    if not entry.history:
        return [f"{recipe} Trained by"]
    return [
        entry.history,
        "",
        f"{recipe} The recipe as it is now makes networks of the same kind, not these, by",
    ]


def _trained_at_once(entry: Entry) -> list[str]:
    if entry.trained_by is None:
        return []
    command = f"{entry.trained_by} --zoo=my_zoo"
    return ["", "or both, packed as here, by", "", "```", command, "```"]


def _architecture(entry: AnyEntry) -> str:
    network = entry.architecture
    return (
        f"`{network.builder}`, images of shape {tuple(network.input_shape)}, "
        f"{network.num_classes} classes."
    )


def _data(entry: AnyEntry) -> list[str]:
    return [
        "",
        "## Data",
        "",
        f"`{entry.dataset}`, its training and test splits. Licence: {entry.dataset_license}",
    ]


def _worst_on_paths(entry: ConnectionEntry) -> list[tuple[str, str, str, str, str]]:
    places = {f"mean over {entry.metrics['pairs']:.0f} pairs": entry.metrics}
    if entry.pair_metrics:
        places[f"the pair `{entry.recipe}`"] = entry.pair_metrics
    return [
        (
            place,
            f"{100 * worst['train_worst_accuracy']:.2f} %",
            f"{worst['train_worst_loss']:.4g}",
            f"{100 * worst['test_worst_accuracy']:.2f} %",
            f"{worst['test_worst_loss']:.4g}",
        )
        for place, worst in places.items()
    ]


def _measured(entry: Entry, role: str) -> tuple[str, str, str, str]:
    metrics = entry.metrics[role]
    return (
        f"{100 * metrics['train_accuracy']:.2f} %",
        f"{metrics['train_loss']:.4g}",
        f"{100 * metrics['test_accuracy']:.2f} %",
        f"{metrics['test_loss']:.4g}",
    )


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
