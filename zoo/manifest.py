"""The zoo's table of contents: `manifest.json`.

The manifest is pure data. It says of every pair which files hold its weights (size and SHA-256
digest), which architecture they belong to, how they were trained and what was measured on them;
and the same of the connection models, flows that connect the networks of one recipe, and of the
populations, many networks of one recipe.
"""

import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import filelock

from mc_keras.storage import make_folder, write_json
from mc_keras.zoo import checks
from mc_keras.zoo.entries import AnyEntry, ConnectionEntry, Entry, PopulationEntry
from mc_keras.zoo.manifest_rules import SCHEMA_VERSION, checked_fields

FILE_NAME = "manifest.json"
CARD_NAME = "README.md"  # in the folder of an entry

ZOO_FOLDER = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All entries of one zoo folder.

    Attributes:
        entries: Entry of a pair by name.
        base_urls: Where files are looked for when the user names no place, most preferred first.
        connections: Entry of a connection model by name.
        populations: Entry of a population by name.
    """

    entries: Mapping[str, Entry]
    base_urls: tuple[str, ...] = ()
    connections: Mapping[str, ConnectionEntry] = dataclasses.field(default_factory=dict)
    populations: Mapping[str, PopulationEntry] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        """The pair called `name`; a ValueError that suggests the nearest name if none is."""
        return _lookup(self.entries, name)

    def connection(self, name: str) -> ConnectionEntry:
        """The connection model called `name`; a ValueError as above if none is."""
        return _lookup(self.connections, name, "connection model")

    def population(self, name: str) -> PopulationEntry:
        """The population called `name`; a ValueError as above if none is."""
        return _lookup(self.populations, name, "population")

    def find(self, name: str) -> AnyEntry:
        """The entry of any kind called `name`; a ValueError as above if none is."""
        return _lookup(self.all(), name)

    def all(self) -> dict[str, AnyEntry]:
        """Entries of every kind by name."""
        return {**self.entries, **self.connections, **self.populations}

    def like(self, entry: AnyEntry) -> Mapping[str, AnyEntry]:
        """Entries by name that are of the kind of `entry`."""
        return getattr(self, entry.section)

    def to_json(self) -> dict[str, Any]:
        """The contents of `manifest.json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "base_urls": list(self.base_urls),
            "entries": _to_json(self.entries),
            "connections": _to_json(self.connections),
            "populations": _to_json(self.populations),
        }


def _lookup(entries: Mapping[str, Any], name: str, kind: str = "entry") -> Any:
    if name not in entries:
        nearest = difflib.get_close_matches(str(name), entries, n=1, cutoff=0.5)
        hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(
            f"The zoo has no {kind} {name!r}. {hint}It has: {', '.join(sorted(entries)) or 'none'}."
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
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"Cannot read the zoo's manifest {file}: {error}.") from error
    try:
        return Manifest(**checked_fields(contents))
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


def put_entry(zoo: str | os.PathLike[str], entry: AnyEntry) -> None:
    """Adds an entry to the manifest of a zoo folder, or replaces the one of that name.

    The manifest is made if there is none. Processes that add entries at once wait for each other.
    Put an entry before its folder moves to its place: when the process is killed in between, the
    same call goes through again, as `check_place` knows the entry. The other way round, it would
    find a folder that is no entry's.

    Raises:
        OSError: If the folder cannot be written.
    """
    file = pathlib.Path(zoo) / FILE_NAME
    make_folder(file.parent)
    with filelock.FileLock(file.with_name(f".{FILE_NAME}.lock")):
        before = manifest_in(zoo)
        change: dict[str, Any] = {entry.section: {**before.like(entry), entry.name: entry}}
        write_json(file, dataclasses.replace(before, **change).to_json())


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
