"""Processes that put an entry of one name into a zoo wait for each other."""

import concurrent.futures
import threading

import pytest

from mc_keras.storage import sha256_of_file
from mc_keras.zoo.manifest import load_manifest, put_entry
from mc_keras.zoo.placing import replacing


def test_the_second_finds_what_the_first_has_put(tmp_path, make_entry):
    found, first_is_in, go_on = [], threading.Event(), threading.Event()

    def put(version):
        contents = {role: f"{role} {version}".encode() for role in ("start", "end")}
        with replacing(tmp_path, "toy", "entries") as (folder, before):
            found.append([entry.version for entry in before.entries.values()])
            first_is_in.set()
            assert go_on.wait(60)
            for role, content in contents.items():
                (folder / f"{role}.weights.h5").write_bytes(content)
            put_entry(tmp_path, make_entry(**contents, version=version))

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(put, 1)
        assert first_is_in.wait(60)
        second = threads.submit(put, 2)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        assert found == [[]]
        go_on.set()
        for done in (first, second):
            done.result(60)
    assert found == [[], [1]]
    (entry,) = load_manifest(tmp_path).entries.values()
    assert entry.version == 2
    for file in entry.files.values():
        assert sha256_of_file(tmp_path / file.path) == file.sha256


def test_what_fails_leaves_the_place_free(tmp_path, make_entry):
    with pytest.raises(KeyError), replacing(tmp_path, "toy", "entries"):
        raise KeyError
    assert not (tmp_path / "toy").exists()
    with replacing(tmp_path, "toy", "entries") as (_, before):
        assert not before.entries
        put_entry(tmp_path, make_entry(start=b"a", end=b"b"))
    assert (tmp_path / "toy").is_dir()
