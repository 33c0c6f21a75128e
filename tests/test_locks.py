"""Who waits for another process says so."""

import threading

import pytest

from mc_keras import locks


def test_who_waits_for_long_says_for_what(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "_SILENT_WAIT", 0.05)
    order, held = [], threading.Event()

    def first():
        with locks.locked(tmp_path / "pair" / ".lock", "makes a row of pair"):
            held.set()
            released.wait()
            order.append("first")

    released = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    threading.Timer(0.3, released.set).start()
    with locks.locked(tmp_path / "pair" / ".lock", "makes a row of pair"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == (
        "Waiting for another process, which makes a row of pair and holds "
        f"{tmp_path / 'pair' / '.lock'}; end that one to go on here.\n"
    )


def test_nobody_waits_for_a_lock_that_is_free(tmp_path, capsys):
    for _ in range(2):
        with locks.locked(tmp_path / ".lock", "makes a row"):
            pass
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"Cannot write .*file/pair: a part of its path is a file"),
        locks.locked(tmp_path / "file" / "pair" / ".lock", "makes a row"),
    ):
        pass
