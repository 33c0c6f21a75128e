"""The zoo's table of contents: `manifest.json`, read and checked.

The manifest is pure data. It says of every pair which files hold its weights (size and SHA-256
digest), which architecture they belong to, how they were trained and what was measured on them;
and the same of the connection models, flows that connect the networks of one recipe.
"""

import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import filelock

from mc_keras.storage import write_json
from mc_keras.zoo import checks

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"
CARD_NAME = "README.md"  # in the folder of an entry
ROLES = ("start", "end")
METRICS = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
CONNECTION_METRICS = ("train_worst_accuracy", "test_worst_accuracy")

ZOO_FOLDER = pathlib.Path(__file__).parent


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
class Entry:
    """One pair of networks that differ in their seed only.

    Attributes:
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
    """

    name: str
    version: int
    description: str
    dataset: str
    architecture: Architecture
    recipe: str
    training: Mapping[str, Any]
    commands: Mapping[str, str]
    seeds: Mapping[str, int]
    files: Mapping[str, WeightsFile]
    metrics: Mapping[str, Mapping[str, float]]
    license: str
    dataset_license: str
    created: str
    versions: Mapping[str, str]
    notes: str = ""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 digest of each end's weights, by role."""
        return {role: file.sha256 for role, file in self.files.items()}


@dataclasses.dataclass(frozen=True)
class ConnectionEntry:
    """A flow that connects any two networks of one recipe.

    Attributes:
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
            on the path, on both splits.
        license: Licence of the weights.
        dataset_license: Licence or terms of the data.
        created: Day of the training, `YYYY-MM-DD`.
        versions: Versions of the packages that trained it.
        pair_metrics: The worst accuracy on the path between the two networks of the zoo's own pair
            of the recipe, on both splits, which anyone can measure again. Empty if the zoo that it
            was packed into has no such pair.
        pair_digests: SHA-256 digest of the weights of each of these two networks, by role.
    """

    name: str
    version: int
    description: str
    method: str
    dataset: str
    architecture: Architecture
    recipe: str
    training: Mapping[str, Any]
    command: str
    seeds: tuple[int, ...]
    files: Mapping[str, WeightsFile]
    metrics: Mapping[str, float]
    license: str
    dataset_license: str
    created: str
    versions: Mapping[str, str]
    pair_metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    pair_digests: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All entries of one zoo folder.

    Attributes:
        entries: Entry of a pair by name.
        base_urls: Where files are looked for when the user names no place, most preferred first.
        connections: Entry of a connection model by name.
    """

    entries: Mapping[str, Entry]
    base_urls: tuple[str, ...] = ()
    connections: Mapping[str, ConnectionEntry] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        """The pair called `name`; a ValueError that suggests the nearest name if none is."""
        return _lookup(self.entries, name)

    def find(self, name: str) -> Entry | ConnectionEntry:
        """The pair or connection model called `name`; a ValueError as above if none is."""
        return _lookup({**self.entries, **self.connections}, name)

    def to_json(self) -> dict[str, Any]:
        """The contents of `manifest.json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "base_urls": list(self.base_urls),
            "entries": _to_json(self.entries),
            "connections": _to_json(self.connections),
        }


def _lookup(entries: Mapping[str, Any], name: str) -> Any:
    if name not in entries:
        nearest = difflib.get_close_matches(str(name), entries, n=1, cutoff=0.5)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(
            f"The zoo has no entry {name!r}. {hint}"
            f"It has: {', '.join(sorted(entries)) or 'no entries'}."
        )
    return entries[name]


def _to_json(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v for k, v in dataclasses.asdict(entry).items() if k != "name"}
        for name, entry in sorted(entries.items())
    }


def load_manifest(folder: str | os.PathLike[str] | None = None) -> Manifest:
    """Reads and checks the manifest of a zoo folder.

    Args:
        folder: A folder that holds `manifest.json`. Default: the zoo of this package.

    Returns:
        The manifest.

    Raises:
        ValueError: If the file is missing, not JSON, from a newer version of mc_keras, or if
            something in it is missing, unknown or of the wrong kind.
    """
    file = pathlib.Path(ZOO_FOLDER if folder is None else folder) / FILE_NAME
    try:
        contents = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"Cannot read the zoo's manifest {file}: {error}.") from error
    try:
        return _parse(contents)
    except checks.Invalid as error:
        raise ValueError(f"The zoo's manifest {file} is not valid: {error}.") from error


def manifest_in(zoo: str | os.PathLike[str]) -> Manifest:
    """The manifest of a zoo folder that is written to; an empty one if it has none yet."""
    return load_manifest(zoo) if (pathlib.Path(zoo) / FILE_NAME).exists() else Manifest({})


def check_place(zoo: pathlib.Path, name: str, entries: Collection[str]) -> None:
    """Raises ValueError if something that is none of a zoo's entries has the place of one."""
    if (zoo / name).exists() and name not in entries:
        raise ValueError(
            f"{zoo / name} exists and is no entry of that zoo; remove it or choose another zoo "
            "folder."
        )


def put_entry(zoo: str | os.PathLike[str], entry: Entry | ConnectionEntry) -> None:
    """Adds an entry to the manifest of a zoo folder, or replaces the one of that name.

    The manifest is made if there is none. Processes that add entries at once wait for each other.

    Raises:
        OSError: If the folder cannot be written.
    """
    file = pathlib.Path(zoo) / FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(file.with_name(f".{FILE_NAME}.lock")):
        before = manifest_in(zoo)
        if isinstance(entry, Entry):
            after = dataclasses.replace(before, entries={**before.entries, entry.name: entry})
        else:
            connections = {**before.connections, entry.name: entry}
            after = dataclasses.replace(before, connections=connections)
        write_json(file, after.to_json())


def manifest_of(source: str | os.PathLike[str] | None) -> Manifest:
    """The manifest that speaks for a source of files.

    That is the one in the source, if the source is a folder that holds one, else the package's: of
    a server only the files are taken, never what they should be.
    """
    return load_manifest(folder_of(source))


def folder_of(source: str | os.PathLike[str] | None) -> pathlib.Path | None:
    """The zoo folder that a source is, the package's if none is named; `None` if it is no such."""
    if source is None:
        return ZOO_FOLDER
    folder = pathlib.Path(source).expanduser()
    is_zoo = "://" not in os.fspath(source) and os.path.isfile(folder / FILE_NAME)
    return folder if is_zoo else None


def names() -> list[str]:
    """Names of the pairs in the zoo.

    Example:
    >>> "fc_digits" in names()
    True
    """
    return sorted(load_manifest().entries)


def info(name: str) -> Entry:
    """What the zoo knows of the pair called `name`.

    Raises:
        ValueError: If there is no such pair; the nearest name is suggested.
    """
    return load_manifest()[name]


def _per_role(rule: checks.Rule) -> checks.Rule:
    return checks.record(dict.fromkeys(ROLES, rule))


_WEIGHTS_FILE = checks.record(
    {"path": checks.relative_path, "size": checks.positive, "sha256": checks.digest}
)
_ARCHITECTURE = checks.record(
    {
        "builder": checks.name,
        "input_shape": checks.list_of(checks.positive),
        "num_classes": checks.positive,
        "config": checks.mapping_of(checks.anything),
    }
)
_ENTRY = checks.record(
    {
        "version": checks.positive,
        "description": checks.text,
        "dataset": checks.text,
        "architecture": _ARCHITECTURE,
        "recipe": checks.text,
        "training": checks.mapping_of(checks.anything),
        "commands": _per_role(checks.text),
        "seeds": _per_role(checks.natural),
        "files": _per_role(_WEIGHTS_FILE),
        "metrics": _per_role(checks.record(dict.fromkeys(METRICS, checks.number))),
        "license": checks.text,
        "dataset_license": checks.text,
        "created": checks.day,
        "versions": checks.mapping_of(checks.text),
        "notes": checks.anything,
    },
    optional=("notes",),
)
_CONNECTION = checks.record(
    {
        "version": checks.positive,
        "description": checks.text,
        "method": checks.text,
        "dataset": checks.text,
        "architecture": _ARCHITECTURE,
        "recipe": checks.text,
        "training": checks.mapping_of(checks.anything),
        "command": checks.text,
        "seeds": checks.list_of(checks.natural),
        "files": checks.record({"connection": _WEIGHTS_FILE}),
        "metrics": checks.record(dict.fromkeys(("pairs", *CONNECTION_METRICS), checks.number)),
        "license": checks.text,
        "dataset_license": checks.text,
        "created": checks.day,
        "versions": checks.mapping_of(checks.text),
        "pair_metrics": checks.record(
            dict.fromkeys(CONNECTION_METRICS, checks.number), optional=CONNECTION_METRICS
        ),
        "pair_digests": checks.record(dict.fromkeys(ROLES, checks.digest), optional=ROLES),
    },
    optional=("pair_metrics", "pair_digests"),
)
_MANIFEST = checks.record(
    {
        "schema_version": checks.positive,
        "base_urls": checks.list_of(checks.text),
        "entries": checks.mapping_of(_ENTRY, keys=checks.name),
        "connections": checks.mapping_of(_CONNECTION, keys=checks.name),
    },
    optional=("connections",),
)


def _parse(contents: Any) -> Manifest:
    # Before anything else, as a later schema may look quite different.
    version = contents.get("schema_version") if isinstance(contents, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise checks.Invalid(
            f"it has schema version {version}, and this mc_keras reads up to {SCHEMA_VERSION}; "
            "install a newer mc_keras"
        )
    fields = _MANIFEST("the manifest", contents)
    return Manifest(
        entries={name: _entry(Entry, name, entry) for name, entry in fields["entries"].items()},
        base_urls=fields["base_urls"],
        connections={
            name: _entry(ConnectionEntry, name, entry)
            for name, entry in fields.get("connections", {}).items()
        },
    )


def _entry(kind: Any, name: str, fields: dict[str, Any]) -> Any:
    files = {role: WeightsFile(**file) for role, file in fields["files"].items()}
    architecture = Architecture(**fields["architecture"])
    return kind(**{**fields, "name": name, "files": files, "architecture": architecture})
