"""Copies entries into another zoo folder: for a USB stick, a file server, a machine offline."""

import os
import pathlib
import shutil
from collections.abc import Iterable

from mc_keras.storage import atomic_folder
from mc_keras.zoo import download
from mc_keras.zoo.card import card_of
from mc_keras.zoo.manifest import CARD_NAME, check_place, manifest_in, manifest_of, put_entry


def mirror(
    names: Iterable[str],
    zoo: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Copies entries with their files, downloaded if need be, into a zoo folder.

    The folder is then a `source` for `load_pair`, and served as it is, a base URL.

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
        with atomic_folder(zoo / entry.name) as folder:
            for role, file in files.items():
                shutil.copyfile(file, folder / pathlib.PurePosixPath(entry.files[role].path).name)
            (folder / CARD_NAME).write_text(card_of(entry), encoding="utf-8")
        put_entry(zoo, entry)
