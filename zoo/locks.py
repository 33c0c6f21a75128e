"""Locks of files that several processes want at once; who waits for long says so."""

import contextlib
import os
import sys
from collections.abc import Iterator

import filelock

_SILENT_WAIT = 5.0  # seconds


@contextlib.contextmanager
def locked(lock_file: str | os.PathLike[str], work: str) -> Iterator[None]:
    """Holds a lock; says what is waited for if that takes long.

    Args:
        lock_file: File of the lock.
        work: What a process that holds it does, such as `"downloads FILE"`.
    """
    lock = filelock.FileLock(lock_file)
    try:
        lock.acquire(timeout=_SILENT_WAIT)
    except filelock.Timeout:
        print(
            f"Waiting for another process, which {work} and holds {lock.lock_file}; end that one "
            "to go on here.",
            file=sys.stderr,
            flush=True,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
