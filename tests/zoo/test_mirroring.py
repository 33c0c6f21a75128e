import os

import pytest

import mc_keras as mc
from mc_keras.zoo import manifest
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
