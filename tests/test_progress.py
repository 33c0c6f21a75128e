import io

import pytest

from mc_keras.progress import ProgressBar, training_verbosity


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_ends_at_one_hundred_per_cent_and_a_new_line():
    stream = Terminal()
    bar = ProgressBar("evaluating", 4, stream=stream)
    for _ in range(4):
        bar.add(1)
    text = stream.getvalue()
    assert "evaluating [" in text
    assert text.count("\n") == 1
    assert "100 %" in text.rsplit("\r", 1)[1]


def test_bytes_on_a_terminal():
    stream = Terminal()
    bar = ProgressBar("toy/start", 2_000_000, in_bytes=True, stream=stream)
    for received in (0, 1_000_000, 2_000_000):
        bar.reach(received)
    lines = stream.getvalue().replace("\x1b[K", "").split("\r")
    assert lines[1] == f"toy/start [{'.' * 30}] 0.0/2.0 MB"
    assert lines[-1] == f"toy/start [{'=' * 30}] 2.0/2.0 MB\n"


def test_in_a_log_it_is_one_line():
    stream = io.StringIO()
    bar = ProgressBar("toy/start", 2_000, in_bytes=True, stream=stream)
    for received in (0, 1_000, 2_000):
        bar.reach(received)
    assert stream.getvalue() == f"toy/start [{'=' * 30}] 2.0/2.0 kB\n"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_silence(stream):
    bar = ProgressBar("evaluating", 1, verbose=0, stream=stream)
    bar.doing("linear")
    bar.say("linear: 97.2 %")
    bar.add(1)
    assert stream.getvalue() == ""


def test_what_is_being_done_is_shown_until_the_end():
    stream = Terminal()
    bar = ProgressBar("table", 2, stream=stream)
    bar.doing("linear")
    bar.add(2)
    first, last = stream.getvalue().replace("\x1b[K", "").split("\r")[1:]
    assert first == f"table [{'.' * 30}]   0 %, linear"
    assert "linear" not in last


@pytest.mark.parametrize(
    ("stream", "start"), [(Terminal(), "\r\x1b[K"), (io.StringIO(), "")], ids=["terminal", "log"]
)
def test_a_line_of_its_own(stream, start):
    bar = ProgressBar("table", 2, stream=stream)
    bar.say("linear: 97.2 %")
    assert stream.getvalue() == f"{start}linear: 97.2 %\n"
    bar.add(2)
    assert "table [" in stream.getvalue()


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), [0, 1, 2]), (io.StringIO(), [0, 2, 2])])
def test_a_training_writes_a_line_per_epoch_in_a_log(monkeypatch, stream, shown):
    monkeypatch.setattr("sys.stdout", stream)
    assert [training_verbosity(verbose) for verbose in range(3)] == shown
