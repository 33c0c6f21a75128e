"""Copies entries into another zoo folder: for a USB stick, a file server, a machine offline."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterable

from mc_keras.zoo import download
from mc_keras.zoo.card import card_of
from mc_keras.zoo.entries import AnyEntry
from mc_keras.zoo.manifest import CARD_NAME, check_place, manifest_in, manifest_of, put_entry
from mc_keras.zoo.placing import replacing


def mirror(
    names: Iterable[str],
    zoo: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Copies entries with their files, downloaded if need be, into a zoo folder.

    The folder is then a `source` for `load_pair`, and served as it is, a base URL. Every file lies
    in the folder of its entry, wherever it was before.

    Args:
        names: The entries to copy.
        zoo: The folder; made if there is none. Its other entries stay.
        source: Where the files come from, as for `load_pair`.

    Raises:
        NotHereError: If no place has the files of an entry.
        ValueError: If there is no such entry, a file is missing, truncated or altered, or something
            else has the place of an entry in the folder.
        OSError: If the folder cannot be written.
    """
    zoo = pathlib.Path(zoo)
    origin = manifest_of(source)
    entries = [origin.find(name) for name in names]
    there = manifest_in(zoo)
    for entry in entries:
        check_place(zoo, entry.name, there.like(entry))
    for entry in entries:
        files = download.fetch_all(entry, source, base_urls=origin.base_urls)
        copy = _in_own_folder(entry)
        with replacing(zoo, copy.name, copy.section) as (folder, _):
            for role, file in files.items():
                path = pathlib.PurePosixPath(copy.files[role].path)
                target = folder / path.relative_to(copy.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            (folder / CARD_NAME).write_text(card_of(copy), encoding="utf-8")
            put_entry(zoo, copy)


def _in_own_folder(entry: AnyEntry) -> AnyEntry:
    """The entry with all its files below the folder of its name, none in the place of the card."""
    own = pathlib.PurePosixPath(entry.name)
    paths = {role: pathlib.PurePosixPath(file.path) for role, file in entry.files.items()}
    if all(own in path.parents and path != own / CARD_NAME for path in paths.values()):
        return entry
    # Two files may have one name, in folders of their own.
    files = {
        role: dataclasses.replace(entry.files[role], path=f"{own / role / path.name}")
        for role, path in paths.items()
    }
    return dataclasses.replace(entry, files=files)
