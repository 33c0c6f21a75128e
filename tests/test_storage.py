import errno
import json
import multiprocessing
import os
import resource
import signal

import hypothesis.extra.numpy as hnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc_keras import storage


@given(
    arrays=st.dictionaries(
        st.text("abc_0", min_size=1, max_size=5),
        hnp.arrays(
            st.sampled_from(["float32", "float64", "int32", "uint8"]),
            hnp.array_shapes(min_dims=0, min_side=0),
            elements=st.integers(0, 9),
        ),
        max_size=4,
    )
)
def test_archive_round_trip(tmp_path_factory, arrays):
    file = tmp_path_factory.mktemp("archive") / "a.path"
    storage.write_archive(file, {"format": "x", "names": sorted(arrays)}, arrays)
    header, read = storage.read_archive(file, "path file")
    assert header["names"] == sorted(arrays) == sorted(read)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("shape", [(), (3, 0), (2, 3)])
def test_bfloat16_comes_back_as_itself(tmp_path, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(ml_dtypes.bfloat16)
    storage.write_archive(tmp_path / "a.path", {}, {"w": array, "v": array.view("uint16")})
    read = storage.read_archive(tmp_path / "a.path", "path file")[1]
    for name, expected in (("w", array), ("v", array.view("uint16"))):
        assert read[name].dtype == expected.dtype
        np.testing.assert_array_equal(read[name], expected)


@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_every_altered_byte_is_noticed(tmp_path_factory, position, flip):
    file = tmp_path_factory.mktemp("archive") / "a.path"
    storage.write_archive(file, {"format": "x"}, {"w": np.arange(7.0)})
    content = bytearray(file.read_bytes())
    content[int(position * len(content))] ^= flip
    file.write_bytes(content)
    with pytest.raises(ValueError, match="not a whole path file"):
        storage.read_archive(file, "path file")


@given(share=st.floats(0, 1, exclude_max=True))
def test_truncation_is_noticed(tmp_path_factory, share):
    file = tmp_path_factory.mktemp("archive") / "a.path"
    storage.write_archive(file, {"format": "x"}, {"w": np.arange(7.0)})
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="truncated, altered"):
        storage.read_archive(file, "path file")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no path file .*nowhere\.path"):
        storage.read_archive(tmp_path / "nowhere.path", "path file")


def test_equal_contents_are_equal_files(tmp_path):
    for name in ("a", "b"):
        storage.write_archive(tmp_path / name, {"k": 1}, {"w": np.ones(3)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "result.json"
    storage.write_json(file, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(file, {"bad": float("nan")})
    with pytest.raises(RuntimeError), storage.atomic_write(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(file.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["result.json"]


def test_failed_folder_leaves_the_old_one(tmp_path):
    with storage.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "old").touch()
    with pytest.raises(RuntimeError), storage.atomic_folder(tmp_path / "model") as temporary:
        raise RuntimeError
    assert os.listdir(tmp_path) == ["model"]
    with storage.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "new").touch()
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(tmp_path / "model") == ["new"]


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path):
    stays = [".a.json.0123456k.json", ".a.json.abcdefgh.txt", ".a.json.Abcdefgh.json", "a.json.old"]
    left = [".a.json.abc_e6gh.json", ".model.abc_e6gh"]
    for name in (*stays, *left):
        (tmp_path / name).mkdir() if "model" in name else (tmp_path / name).touch()
        if name != stays[0]:
            os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".model.abc_e6gh" / "inside").touch()
    os.utime(tmp_path / ".model.abc_e6gh", (0, 0))
    storage.write_json(tmp_path / "a.json", {})
    with storage.atomic_folder(tmp_path / "model"):
        pass
    assert {file.name for file in tmp_path.iterdir()} == {*stays, "a.json", "model"}


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write .* is a file, not a folder"):
        storage.write_json(tmp_path / "file" / "x.json", {})


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write .*/file: a part of its path is a file, not a"):
        storage.make_folder(tmp_path / "file")
    with pytest.raises(OSError, match=r"Cannot write /proc/out: a folder of its path cannot be ma"):
        storage.make_folder("/proc/out")


def _write_beyond_the_limit(file, queue):
    # A limit on the size of files stands in for a full disk: the same write fails in the same way.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        storage.write_archive(file, {}, {"w": np.zeros(100_000)})
    except OSError as error:
        queue.put((error.errno, error.strerror))


def test_full_disk_leaves_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_write_beyond_the_limit, args=(tmp_path / "a.path", queue))
    process.start()
    number, message = queue.get(timeout=60)
    process.join()
    assert number == errno.EFBIG
    assert "Cannot write" in message
    assert os.listdir(tmp_path) == []


def test_fingerprint_sees_shape_dtype_and_values():
    base = np.arange(6, dtype="float32")
    others = [base.reshape(2, 3), base[::-1], base[:0]]
    others += [base.astype(dtype) for dtype in ("float64", ml_dtypes.bfloat16)]
    prints = {storage.fingerprint([array]) for array in (base, *others)}
    assert len(prints) == 6
    assert storage.fingerprint([base.copy()]) == storage.fingerprint([base])
