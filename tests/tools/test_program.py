"""The wrapper of every command: one sentence per error, exit codes, help."""

import os
import subprocess
import sys

import pytest

TOOL = '''"""Counts.

  mc-count --size=3
"""

import os

from absl import flags

from mc_keras.tools import program

SIZE = flags.DEFINE_integer("size", 2, "How many.", lower_bound=1)
FILE = flags.DEFINE_string("file", "", "Where.")


def main(argv):
    if SIZE.value == 3:
        raise ValueError("Three is\\n  too many")
    if SIZE.value == 4:
        open("missing/file")
    if SIZE.value == 5:
        raise KeyboardInterrupt
    if SIZE.value == 6:
        raise RuntimeError("a fault of ours")
    if SIZE.value == 8:
        print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
    if SIZE.value == 9:
        print(FILE.value)
    print("size", SIZE.value)


program.run(main)
'''


@pytest.fixture
def count(tmp_path):
    file = tmp_path / "mc-count"
    file.write_text(TOOL)

    def run(*words):
        return subprocess.run(
            [sys.executable, str(file), *words], capture_output=True, text=True, cwd=tmp_path
        )

    return run


def test_a_good_run_prints_its_result_only(count):
    result = count("--size=7")
    assert (result.returncode, result.stdout, result.stderr) == (0, "size 7\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size=3"], "mc-count: Three is too many."),
        (["--size=4"], "mc-count: No such file or directory: 'missing/file'."),
        (["--size=0"], "mc-count: flag --size=0: 0 is not a positive integer. See --help."),
        (["--sise=2"], "mc-count: Unknown command line flag 'sise'. Did you mean: size ? See "),
        (["two"], "mc-count: Unexpected argument 'two'; every option is a flag. See --help."),
    ],
)
def test_an_error_is_one_line_with_exit_code_1(count, words, message):
    result = count(*words)
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(("wanted", "found"), [(None, "1"), ("0", "0")])
def test_tensorflow_computes_by_onednn_unless_the_user_says_otherwise(
    wanted, found, count, monkeypatch
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", wanted)
    assert count("--size=8").stdout.splitlines()[0] == found


def test_paths_may_begin_at_home(count):
    home = os.path.expanduser("~")
    for given, expected in (("~/a b.c", f"{home}/a b.c"), ("a~/b", "a~/b"), ("x=~", "x=~")):
        assert count("--size=9", f"--file={given}").stdout.split("\n")[0] == expected


def test_an_interrupted_run_says_so(count):
    result = count("--size=5")
    assert (result.returncode, result.stderr) == (130, "mc-count: Interrupted.\n")


def test_debug_shows_the_traceback(count):
    assert "Traceback" in count("--size=3", "--debug").stderr


def test_a_fault_of_ours_keeps_its_traceback(count):
    result = count("--size=6")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort"])
def test_help_has_the_docstring_and_the_flags(count, flag):
    result = count(flag)
    assert result.returncode == 0
    assert "mc-count --size=3" in result.stdout
    assert "How many." in result.stdout
    assert "--[no]debug" in result.stdout
    assert "helpxml" not in result.stdout


def test_full_help_has_the_docstring_too(count):
    result = count("--helpfull")
    assert "mc-count --size=3" in result.stdout
    assert "helpxml" in result.stdout
