import dataclasses
import os

import pytest

import mc_keras as mc
from mc_keras.zoo import download, manifest
from mc_keras.zoo.card import card_of
from mc_keras.zoo.download import NotHereError
from mc_keras.zoo.mirroring import mirror


def test_mirror_is_a_zoo_of_its_own(tiny_zoo, tmp_path, make_entry):
    target = tmp_path / "stick"
    manifest.put_entry(target, make_entry())
    mirror(["tiny_digits"], target, tiny_zoo)
    copied = manifest.load_manifest(target)
    assert sorted(copied.entries) == ["tiny_digits", "toy"]
    assert copied["tiny_digits"] == manifest.load_manifest(tiny_zoo)["tiny_digits"]
    assert sorted(os.listdir(target / "tiny_digits")) == [
        "README.md",
        "end.weights.h5",
        "start.weights.h5",
    ]
    assert mc.zoo.load_pair("tiny_digits", target).info.version == 1


def test_entry_that_is_nowhere_leaves_the_mirror_alone(tmp_path, make_population):
    manifest.put_entry(tmp_path / "zoo", make_population())
    with pytest.raises(NotHereError, match="Make its like again"):
        mirror(["toys_3-4"], tmp_path / "stick", tmp_path / "zoo")
    assert not (tmp_path / "stick").exists()


def test_damaged_source_leaves_the_mirror_alone(tiny_zoo, tmp_path):
    (tiny_zoo / "tiny_digits/end.weights.h5").write_bytes(b"short")
    with pytest.raises(ValueError, match="is truncated or another file"):
        mirror(["tiny_digits"], tmp_path / "stick", tiny_zoo)
    assert not (tmp_path / "stick").exists()


def test_folders_that_are_no_entries_stay(tiny_zoo, tmp_path):
    photos = tmp_path / "stick" / "tiny_digits"
    photos.mkdir(parents=True)
    (photos / "photo.jpg").write_bytes(b"a photo")
    with pytest.raises(ValueError, match="exists and is no entry of that zoo"):
        mirror(["tiny_digits"], tmp_path / "stick", tiny_zoo)
    assert os.listdir(photos) == ["photo.jpg"]


@pytest.mark.parametrize(
    ("paths", "copied"),
    [
        (("w/start/x.h5", "w/end/x.h5"), ("toy/start/x.h5", "toy/end/x.h5")),
        (("x.h5", "toy/x.h5"), ("toy/start/x.h5", "toy/end/x.h5")),
        (("toy/README.md", "toy/x.h5"), ("toy/start/README.md", "toy/end/x.h5")),
        (("toys/x.h5", "toys/y.h5"), ("toy/start/x.h5", "toy/end/y.h5")),
        (("toy/a/x.h5", "toy/b/x.h5"), ("toy/a/x.h5", "toy/b/x.h5")),
    ],
)
def test_no_file_is_lost_wherever_it_lies(tmp_path, make_entry, paths, copied):
    entry, source, stick = make_entry(), tmp_path / "source", tmp_path / "stick"
    files = {}
    for role, path in zip(("start", "end"), paths, strict=True):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(f"the {role}".encode())
        files[role] = dataclasses.replace(entry.files[role], path=path)
    manifest.put_entry(source, dataclasses.replace(entry, files=files))
    mirror(["toy"], stick, source)
    found = manifest.load_manifest(stick)["toy"]
    assert tuple(file.path for file in found.files.values()) == copied
    fetched = download.fetch_all(found, stick)
    assert {role: file.read_bytes() for role, file in fetched.items()} == {
        "start": b"the start",
        "end": b"the end",
    }
    assert (stick / "toy/README.md").read_text(encoding="utf-8") == card_of(found)
