"""The place of an entry in a zoo folder: one process at a time fills it."""

import contextlib
import pathlib
from collections.abc import Iterator

from mc_keras.locks import LOCK, locked
from mc_keras.storage import atomic_folder
from mc_keras.zoo.manifest import Manifest, check_place, manifest_in


@contextlib.contextmanager
def replacing(
    zoo: pathlib.Path, name: str, section: str
) -> Iterator[tuple[pathlib.Path, Manifest]]:
    """Gives a new folder for an entry; moves it to its place when the block ends well.

    Processes that put an entry of one name into a zoo wait for each other, so that the files and
    what the manifest says of them are always those of one of them.

    Args:
        zoo: The folder; made if there is none.
        name: Name of the entry.
        section: Section of the manifest that the entry is in.

    Yields:
        The new folder, and the manifest before: of that process, if another one was waited for.

    Raises:
        ValueError: If something else has the entry's place in the folder.
        OSError: If the folder cannot be written.
    """
    with locked(zoo / f".{name}{LOCK}", f"puts {name} into {zoo}"):
        before = manifest_in(zoo)
        check_place(zoo, name, getattr(before, section))
        with atomic_folder(zoo / name) as folder:
            yield folder, before
