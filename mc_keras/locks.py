"""Locks of files that several processes want at once; who waits for long says so."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator

import filelock

from mc_keras.storage import PathLike, explained, make_folder

LOCK = ".lock"  # of a folder that several processes may write to
_SILENT_WAIT = 5.0  # seconds
_CLEAR_LINE = "\r\x1b[K"


@contextlib.contextmanager
def locked(lock_file: PathLike, work: str) -> Iterator[None]:
    """Holds a lock; says what is waited for if that takes long.

    Args:
        lock_file: File of the lock. It stays, and its folder is made if it is not there.
        work: What a process that holds the lock does, such as `"downloads FILE"`.

    Raises:
        OSError: If the file cannot be written.
    """
    lock = _lock_of(pathlib.Path(lock_file))
    try:
        lock.acquire(timeout=_SILENT_WAIT)
    except filelock.Timeout:
        # A progress bar may stand in this line.
        clear = _CLEAR_LINE if sys.stderr.isatty() else ""
        print(
            f"{clear}Waiting for another process, which {work} and holds {lock.lock_file}; end "
            "that one to go on here.",
            file=sys.stderr,
            flush=True,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock_of(file: pathlib.Path) -> filelock.BaseFileLock:
    make_folder(file.parent)
    with explained(file.parent):
        file.touch()
    return filelock.FileLock(file)
