"""mc-export, as users run it."""

import numpy as np
import pytest
import tensorflow as tf

import mc_keras as mc
from tests.tools.commands import run_command


def run(*flags):
    return run_command("export", *flags)


@pytest.fixture
def path_file(dense_pair, tmp_path):
    file = tmp_path / "arc.path"
    mc.connect(*dense_pair[:2], "arc").save(file)
    return file


def test_points_and_whole_path(path_file, dense_pair, tmp_path):
    out = tmp_path / "out"
    result = run(f"--path={path_file}", f"--output_dir={out}", "--positions=0,0.5", "--whole_path")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(out / name) for name in ("path", "t_0.000", "t_0.500")]
    x = dense_pair[2][0][:4]
    expected = mc.load_path(path_file).model(0.5).predict(x, verbose=0)
    point, whole = (tf.saved_model.load(out / name) for name in ("t_0.500", "path"))
    np.testing.assert_allclose(point.serve(x), expected, atol=1e-6)
    np.testing.assert_allclose(whole.serve(x, tf.constant(0.5)), expected, atol=1e-6)


def test_batch_norm_needs_data(batch_norm_pair, tmp_path):
    start, end, (x, y) = batch_norm_pair
    mc.connect(start, end).save(tmp_path / "line.path")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    out = tmp_path / "out"
    words = [f"--path={tmp_path / 'line.path'}", f"--output_dir={out}", "--positions=0.5"]
    for flags in ([], ["--positions=0,1", "--whole_path"]):
        result = run(*words, *flags)
        assert result.returncode == 1
        assert "batch normalisation" in result.stderr
        assert "mc-export: --data" in result.stderr
        assert not out.exists()
    for flag, data in ((f"--data={tmp_path / 'data.npz'}", x), ("--batch_norm=interpolate", None)):
        result = run(*words, flag)
        assert result.returncode == 0, result.stderr
        served = tf.saved_model.load(out / "t_0.500")
        expected = mc.load_path(tmp_path / "line.path").model(0.5, data).predict(x[:4], verbose=0)
        np.testing.assert_allclose(served.serve(x[:4]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--positions=0,a"], "--positions takes numbers in [0, 1], received 'a'"),
        (["--positions="], "--positions= names none"),
        (["--positions=0,7"], "must be in [0, 1], received t=7.0"),
        (["--path=nowhere.path"], "There is no path file nowhere.path"),
        (["--data=digitz"], "digits"),
    ],
)
def test_errors_are_one_sentence(path_file, tmp_path, flags, message):
    out = tmp_path / "out"
    result = run(f"--path={path_file}", f"--output_dir={out}", *flags)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()
