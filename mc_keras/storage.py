"""Files that are whole or absent: atomic writing, verified archives, fingerprints.

An archive is a zip of `header.json` and one `.npy` member per array, none of them pickled. Its
zip comment holds the SHA-256 digest of everything before the comment, so a truncated or altered
file is recognised before any of it is used.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

PathLike = str | os.PathLike[str]

# A temporary file or folder of this age was left by a process that was killed.
_SECONDS_UNTIL_LEFT = 24 * 60 * 60

_COMMENT_PREFIX = b"sha256:"
_COMMENT_LENGTH = len(_COMMENT_PREFIX) + 64
# After the name of an array that is stored as uint16, as NumPy's format has no bfloat16.
_BFLOAT16 = ".bfloat16"


@contextlib.contextmanager
def atomic_write(file: PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary name beside `file`; rename it to `file` when the block ends well.

    Args:
        file: The file to write. Missing parent folders are made.

    Yields:
        The temporary path to write to. It has the suffixes of `file`, as Keras chooses the
        format of a weights file by them.

    Raises:
        OSError: If the folder cannot be written or the disk is full; `file` is as it was before.
    """
    file = pathlib.Path(file)
    with explained(file):
        _remove_left(file)
        temporary = _temporary_beside(file)
        try:
            yield temporary
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            temporary.chmod(0o666 & ~_umask())
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(file: PathLike) -> None:
    """Check that a file can be written, before the work whose result it is to hold.

    Raises:
        OSError: If it is a folder, or the folder that it is in cannot be made or written to.
    """
    file = pathlib.Path(file)
    with explained(file):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _temporary_beside(file).unlink()


@contextlib.contextmanager
def atomic_folder(folder: PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary folder beside `folder`; move it to `folder` when the block ends well.

    An existing `folder` is replaced as a whole.

    Raises:
        OSError: If the folder cannot be written or the disk is full; `folder` is as before.
    """
    folder = pathlib.Path(folder)
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
        prefix = f".{folder.name}."
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if folder.exists():
                retired = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
                os.replace(folder, retired / folder.name)
                os.replace(temporary, folder)
                shutil.rmtree(retired)
            else:
                os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def make_folder(folder: PathLike) -> None:
    """Make a folder, and those that it is in, where they are not there.

    Raises:
        OSError: If it is a file, or cannot be made.
    """
    with explained(folder):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def explained(target: PathLike) -> Iterator[None]:
    """Says of an `OSError` what could not be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space or choose another place",
            errno.EFBIG: "it would be larger than this process may write",
            errno.EACCES: "no permission to write there; choose a folder you may write to",
            errno.EPERM: "no permission to write there; choose a folder you may write to",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.ENOTDIR: "a part of its path is a file, not a folder; choose another place",
            errno.EEXIST: "a part of its path is a file, not a folder; choose another place",
            errno.EISDIR: "it is a folder; choose a file name",
            errno.ENOENT: "a folder of its path cannot be made; choose another place",
        }
        reason = reasons.get(error.errno or 0, error.strerror or str(error))
        raise OSError(error.errno, f"Cannot write {os.fspath(target)}: {reason}.") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_json(file: PathLike, value: Any) -> None:
    """Write `value` as indented, strict JSON (no NaN), atomically."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of_file(file: PathLike) -> str:
    """Hexadecimal SHA-256 digest of a file's bytes."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(arrays: Iterable[np.ndarray]) -> str:
    """Hexadecimal SHA-256 digest of shapes, dtypes and contents of a sequence of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.reshape(-1).view("uint8"))
    return digest.hexdigest()


def write_archive(file: PathLike, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a JSON header and named arrays as one verified file, atomically.

    Args:
        file: The file to write.
        header: JSON-able mapping.
        arrays: Name to numeric array.
    """
    with atomic_write(file) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr(_member("header.json"), json.dumps(header, allow_nan=False))
            for name, array in map(_storable, arrays, arrays.values()):
                with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            archive.comment = _COMMENT_PREFIX + b"0" * 64
        with open(temporary, "r+b") as handle:
            size = handle.seek(0, os.SEEK_END) - _COMMENT_LENGTH
            digest = _digest_of_first(handle, size)
            handle.seek(size)
            handle.write(_COMMENT_PREFIX + digest)


def read_archive(file: PathLike, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read and verify a file written by `write_archive`.

    Args:
        file: The file to read.
        kind: What the file is, for error messages, e.g. `"path file"`.

    Returns:
        The header and the arrays by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, altered or something else.
    """
    file = pathlib.Path(file)
    if file.is_dir():
        raise ValueError(f"{file} is a folder, and no {kind}; choose a file name.")
    if not file.is_file():
        raise FileNotFoundError(errno.ENOENT, f"There is no {kind} {file}; check the name.")
    with open(file, "rb") as handle:
        size = handle.seek(0, os.SEEK_END) - _COMMENT_LENGTH
        handle.seek(max(size, 0))
        comment = handle.read()
        if size < 0 or comment != _COMMENT_PREFIX + _digest_of_first(handle, size):
            raise ValueError(
                f"{file} is not a whole {kind}: its contents do not match the checksum at its "
                "end, so it was truncated, altered, or is another kind of file. Make or copy it "
                "again."
            )
        with zipfile.ZipFile(handle) as archive:
            header = json.loads(archive.read("header.json"))
            arrays = dict(
                _restored(name.removesuffix(".npy"), _read_array(archive, name))
                for name in archive.namelist()
                if name.endswith(".npy")
            )
    return header, arrays


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """A member of an archive, read piece by piece into its place in memory."""
    with archive.open(name) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _storable(name: str, array: Any) -> tuple[str, np.ndarray]:
    array = np.asarray(array)
    if array.dtype == ml_dtypes.bfloat16:
        return name + _BFLOAT16, array.view("uint16")
    return name, array


def _restored(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if name.endswith(_BFLOAT16):
        return name.removesuffix(_BFLOAT16), array.view(ml_dtypes.bfloat16)
    return name, array


def _member(name: str) -> zipfile.ZipInfo:
    # A fixed date makes equal contents equal files.
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _digest_of_first(handle: Any, size: int) -> bytes:
    digest = hashlib.sha256()
    handle.seek(0)
    while size > 0:
        block = handle.read(min(size, 1 << 20))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest().encode()


def _remove_left(target: pathlib.Path) -> None:
    """Remove the temporary files and folders of a target that were left a day ago or earlier."""
    suffix = "".join(target.suffixes)
    names = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}({re.escape(suffix)})?")
    with contextlib.suppress(OSError):
        for left in target.parent.iterdir():
            if not names.fullmatch(left.name):
                continue
            if time.time() - left.stat().st_mtime < _SECONDS_UNTIL_LEFT:
                continue
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _temporary_beside(file: pathlib.Path) -> pathlib.Path:
    """A new empty file in the folder of another one, which is made if it is not there."""
    suffix = "".join(file.suffixes)
    for last in (False, False, True):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor, name = tempfile.mkstemp(suffix, f".{file.name}.", file.parent)
        except FileNotFoundError:
            # Another process, which found the folder empty, removed it in between.
            if last:
                raise
        else:
            break
    os.close(descriptor)
    return pathlib.Path(name)
