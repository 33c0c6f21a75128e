"""What the zoo knows of each thing that it holds: entries, pure data, of three kinds."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from mc_keras.zoo.recipes import RECIPES

ROLES = ("start", "end")
METRICS = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
CONNECTION_METRICS = (
    "train_worst_accuracy",
    "train_worst_loss",
    "test_worst_accuracy",
    "test_worst_loss",
)
POPULATION_METRICS = tuple(
    f"{split}_{which}_accuracy"
    for split in ("train", "test")
    for which in ("mean", "lowest", "highest")
)


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """One file of weights.

    Attributes:
        path: Where it lies below the zoo's folder or a base URL, with forward slashes.
        size: In bytes.
        sha256: Hexadecimal digest of its bytes.
    """

    path: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What `mc_keras.zoo.architectures.build` needs to build the network."""

    builder: str
    input_shape: tuple[int, ...]
    num_classes: int
    config: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _OfOneRecipe:
    """What entries of every kind have; each kind says what it is in its case."""

    name: str
    version: int
    description: str
    dataset: str
    architecture: Architecture
    recipe: str
    training: Mapping[str, Any]
    files: Mapping[str, WeightsFile]
    license: str
    dataset_license: str
    created: str
    versions: Mapping[str, str]
    notes: str = dataclasses.field(default="", kw_only=True)


@dataclasses.dataclass(frozen=True)
class Entry(_OfOneRecipe):
    """One pair of networks that differ in their seed only.

    Attributes:
        section: The section of the manifest that has it.
        its_like: What to name to take what `made_by` makes.
        name: Name of the pair and of its folder.
        version: Counts up when the weights are replaced.
        description: One line.
        dataset: Name for `mc_keras.zoo.load_data`.
        architecture: How to build the networks.
        recipe: Name of the training recipe.
        training: The recipe's numbers: epochs, batch size, learning rate and so on.
        commands: By role: the command that trained it.
        seeds: Seed of each end.
        files: Weights of each end, by role `"start"`, `"end"`.
        metrics: By role: accuracy (a fraction) and loss (mean nats per example) on both splits,
            measured on the stored weights.
        license: Licence of the weights.
        dataset_license: Licence or terms of the data they were trained on.
        created: Day of the training, `YYYY-MM-DD`.
        versions: Versions of the packages that trained them.
        notes: What a user should know besides, or nothing.
        history: How these weights came about, if not by one run of the commands, which then make
            networks of the same kind.
    """

    section: ClassVar = "entries"
    its_like: ClassVar = "FOLDER as the source (--source=FOLDER)"

    commands: Mapping[str, str]
    seeds: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    history: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 digest of each end's weights, by role."""
        return {role: file.sha256 for role, file in self.files.items()}

    @property
    def test_accuracy(self) -> str:
        """Test accuracies in a few words."""
        return ", ".join(f"{self.metrics[role]['test_accuracy']:.2%}" for role in ROLES)

    @property
    def made_by(self) -> tuple[str, ...]:
        """Commands that make its like again, in a zoo folder FOLDER."""
        if self.trained_by:
            return (f"{self.trained_by} --zoo=FOLDER",)
        runs = " ".join(f"--{role}=runs/{self.recipe}/seed{self.seeds[role]}" for role in ROLES)
        return (*(self.commands[role] for role in ROLES), f"mc-zoo add {runs} --zoo=FOLDER")

    @property
    def trained_by(self) -> str | None:
        """The `mc-zoo train`, but for its folder, that makes both ends; `None` if none does."""
        recipe = RECIPES.get(self.recipe)
        if recipe is None or tuple(self.seeds[role] for role in ROLES) != recipe.seeds:
            return None
        epochs = self.training.get("epochs", recipe.epochs)
        own = f" --epochs={epochs}" if epochs != recipe.epochs else ""
        return f"mc-zoo train {self.recipe}{own}"


@dataclasses.dataclass(frozen=True)
class ConnectionEntry(_OfOneRecipe):
    """A flow that connects any two networks of one recipe.

    Attributes:
        section: The section of the manifest that has it.
        its_like: What to name to take what `made_by` makes.
        name: Its name and that of its folder.
        version: Counts up when the weights are replaced.
        description: One line.
        method: Name of the connection method.
        dataset: Data set of the networks.
        architecture: How to build the networks.
        recipe: Name of the networks' recipe.
        training: Its numbers: blocks, epochs, learning rate and so on.
        command: What trained it.
        seeds: Seeds of the networks that it was trained on.
        files: The one file, by the role `"connection"`.
        metrics: Number of held-out pairs, and the mean over them of the worst accuracy (a fraction)
            and the worst loss (mean nats per example) on the path, on both splits.
        license: Licence of the weights.
        dataset_license: Licence or terms of the data.
        created: Day of the training, `YYYY-MM-DD`.
        versions: Versions of the packages that trained it.
        notes: What a user should know besides, or nothing.
        pair_metrics: The worst accuracy and loss on the path between the two networks of the zoo's
            own pair of the recipe, on both splits, which anyone can measure again. Empty if the zoo
            that it was packed into has no such pair.
        pair_digests: SHA-256 digest of the weights of each of these two networks, by role.
    """

    section: ClassVar = "connections"
    its_like: ClassVar = "the new file instead"

    method: str
    command: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, float]
    pair_metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    pair_digests: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def test_accuracy(self) -> str:
        """Test accuracy on its paths in a few words."""
        return f"worst {self.metrics['test_worst_accuracy']:.2%}"

    @property
    def made_by(self) -> tuple[str, ...]:
        """Commands that train its like again."""
        return (self.command,)


@dataclasses.dataclass(frozen=True)
class PopulationEntry(_OfOneRecipe):
    """Many networks that differ in their seed only.

    Attributes:
        section: The section of the manifest that has it.
        its_like: What to name to take what `made_by` makes.
        name: Its name and that of its folder.
        version: Counts up when the weights are replaced.
        description: One line.
        dataset: Name for `mc_keras.zoo.load_data`.
        architecture: How to build the networks.
        recipe: Name of the training recipe.
        training: The recipe's numbers, as the file of the networks has them.
        command: What trained them.
        seeds: Seed of each network, in their order.
        files: The one file, by the role `"networks"`.
        metrics: Number of networks, and the mean over them, the lowest and the highest of their
            accuracies (fractions), on both splits, measured on the stored weights.
        license: Licence of the weights.
        dataset_license: Licence or terms of the data they were trained on.
        created: Day of the training, `YYYY-MM-DD`.
        versions: Versions of the packages that trained them.
        notes: What a user should know besides, or nothing.
    """

    section: ClassVar = "populations"
    its_like: ClassVar = "the new file instead"

    command: str
    seeds: tuple[int, ...]
    metrics: Mapping[str, float]

    @property
    def test_accuracy(self) -> str:
        """Test accuracies in a few words."""
        lowest, highest = (self.metrics[f"test_{end}_accuracy"] for end in ("lowest", "highest"))
        return f"{lowest:.2%} to {highest:.2%}"

    @property
    def made_by(self) -> tuple[str, ...]:
        """Commands that make its like again, in a zoo folder FOLDER."""
        file = f"runs/{self.recipe}/{self.seeds[0]}-{self.seeds[-1]}.networks"
        return self.command, f"mc-zoo add --population={file} --zoo=FOLDER"


AnyEntry = Entry | ConnectionEntry | PopulationEntry
