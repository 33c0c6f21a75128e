import json

import keras
import numpy as np
import pytest

import mc_keras as mc
from mc_keras import storage
from mc_keras.paths.files import ArrayStore
from tests.networks import dense_network


@pytest.fixture
def saved(tmp_path):
    file = tmp_path / "a.path"
    mc.connect(dense_network(0), dense_network(1), "arc").save(file)
    return file


def rewritten(file, **changes):
    header, arrays = storage.read_archive(file, "path file")
    storage.write_archive(file, {**header, **changes}, arrays)
    return file


def test_newer_format(saved):
    with pytest.raises(ValueError, match="path format 99.*upgrade mc_keras"):
        mc.load_path(rewritten(saved, format_version=99))


def test_another_kind_of_file(saved, tmp_path):
    with pytest.raises(ValueError, match="not a path file but holds 'report'"):
        mc.load_path(rewritten(saved, format="report"))
    (tmp_path / "text.path").write_text("hello " * 100)
    with pytest.raises(ValueError, match="truncated, altered, or is another kind of file"):
        mc.load_path(tmp_path / "text.path")
    (tmp_path / "empty.path").touch()
    with pytest.raises(ValueError, match="not a whole path file"):
        mc.load_path(tmp_path / "empty.path")


def test_no_pickle_inside(saved):
    header, arrays = storage.read_archive(saved, "path file")
    json.dumps(header)
    assert all(array.dtype.kind in "fiu" for array in arrays.values())


def test_the_mean_of_an_arc_is_stored_once_for_all_units(saved):
    _, arrays = storage.read_archive(saved, "path file")
    full = sum(v.size for v in dense_network().get_weights())
    assert sum(array.size for array in arrays.values()) < 2.6 * full


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_custom_layers(tmp_path):
    def build():
        return keras.Sequential([keras.Input((3,)), Doubled(), keras.layers.Dense(2)])

    path = mc.connect(build(), build())
    path.save(tmp_path / "a.path")
    with pytest.raises(ValueError, match="pass its own layers as custom_objects"):
        mc.load_path(tmp_path / "a.path")
    again = mc.load_path(tmp_path / "a.path", custom_objects={"Doubled": Doubled})
    np.testing.assert_array_equal(again(0.5)[0], path(0.5)[0])


def test_layers_in_several_models_are_refused_before_anything_is_written(tmp_path):
    def build():
        shared, inner = keras.layers.Dense(6, "tanh"), keras.Input((6,))
        nested = keras.Model(inner, keras.layers.Dense(6)(shared(inner)))
        inputs = keras.Input((6,))
        return keras.Model(inputs, shared(nested(inputs)))

    path = mc.connect(build(), build())
    with pytest.raises(ValueError, match="which Keras does not write down"):
        path.save(tmp_path / "a.path")
    assert not list(tmp_path.iterdir())


def test_arrays_of_the_same_bits_are_stored_once():
    store = ArrayStore()
    zeros = np.zeros(3, "float32")
    others = [
        np.zeros(3, "int32"),
        np.zeros((3, 1), "float32"),
        np.zeros((1, 3), "float32"),
        -zeros,
        np.zeros((), "float32"),
        np.zeros(1, "float32"),
    ]
    assert store.add(zeros) == store.add(zeros.copy()) == store.add(zeros)
    assert len({store.add(zeros), *map(store.add, others)}) == len(store.arrays) == 7
    for array in others:
        assert store.arrays[store.add(array)] is array


def test_a_path_shares_in_files_what_its_parts_have_in_common(tmp_path):
    """The reordered network, at which units begin to go back."""
    mc.connect(dense_network(0), dense_network(1), "ot").save(tmp_path / "a.path")
    line, edits = mc.load_path(tmp_path / "a.path").segments
    for array, same in zip(line.control_points[1], edits.start, strict=True):
        assert array is same
