import shutil
import socket
import subprocess
import sys
import threading
import time

import filelock
import pytest

from mc_keras import locks
from mc_keras.storage import write_json
from mc_keras.zoo import download
from mc_keras.zoo.manifest import FILE_NAME, Manifest
from tests.permissions import call_as_owner


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for variable in ("KERAS_HOME", "MC_KERAS_OFFLINE", "MC_KERAS_ZOO_URL"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv("MC_KERAS_HOME", str(folder))
    return folder


@pytest.fixture
def entry(make_entry):
    return make_entry(start=b"the start" * 1000, end=b"the end")


@pytest.fixture
def mirror(tmp_path):
    """A folder that has the files of `entry`."""
    folder = tmp_path / "mirror"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy/start.weights.h5").write_bytes(b"the start" * 1000)
    (folder / "toy/end.weights.h5").write_bytes(b"the end")
    return folder


@pytest.fixture
def online(server, mirror):
    """A server that has the files of `entry`."""
    for role in ("start", "end"):
        path = f"toy/{role}.weights.h5"
        server.files[f"/zoo/{path}"] = (mirror / path).read_bytes()
    server.base = f"{server.url}/zoo"
    return server


def files_below(folder):
    return [file.name for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"]


def test_download_into_the_cache_and_from_it(online, entry, cache, monkeypatch):
    monkeypatch.setenv("MC_KERAS_ZOO_URL", online.base)
    file = download.fetch(entry, "start")
    sha256 = entry.files["start"].sha256
    assert file == cache / "toy" / "1" / sha256[:12] / "start.weights.h5"
    assert file.read_bytes() == b"the start" * 1000
    assert download.fetch(entry, "start") == file
    assert len(online.requests) == 1
    assert files_below(cache) == ["start.weights.h5"]


def test_altered_file_in_the_cache_is_fetched_again(online, entry):
    file = download.fetch(entry, "start", online.base)
    for damaged in (b"the staRt" * 1000, b"the start"):
        file.write_bytes(damaged)
        assert download.fetch(entry, "start", online.base).read_bytes() == b"the start" * 1000
    assert len(online.requests) == 3


def test_new_version_does_not_take_the_file_of_the_old(online, entry, make_entry):
    download.fetch(entry, "end", online.base)
    online.files["/zoo/toy/end.weights.h5"] = b"another end"
    newer = make_entry(end=b"another end", version=2)
    assert download.fetch(newer, "end", online.base).read_bytes() == b"another end"
    assert download.fetch(entry, "end", online.base).read_bytes() == b"the end"


@pytest.mark.parametrize("as_url", [False, True])
def test_folder_is_used_in_place(mirror, entry, cache, monkeypatch, as_url):
    base = mirror.as_uri() if as_url else str(mirror)
    assert download.fetch(entry, "end", base) == mirror / "toy/end.weights.h5"
    monkeypatch.setenv("MC_KERAS_ZOO_URL", base)
    assert download.fetch(entry, "end") == mirror / "toy/end.weights.h5"
    assert not cache.exists()


def test_places_are_tried_in_order(online, mirror, entry, monkeypatch, tmp_path):
    empty, lying = tmp_path / "empty", tmp_path / "lying"
    shutil.copytree(mirror, lying)
    (lying / "toy/end.weights.h5").write_bytes(b"THE END")
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{empty}, {lying},{online.base}/none/,{online.base}/")
    assert download.fetch(entry, "end", base_urls=["http://127.0.0.1:9"]).read_bytes() == b"the end"
    paths = [path for path, _ in online.requests]
    assert paths == ["/zoo/none/toy/end.weights.h5", "/zoo/toy/end.weights.h5"]


def test_base_urls_of_the_manifest_come_last(online, entry):
    assert download.fetch(entry, "end", base_urls=[online.base]).read_bytes() == b"the end"


def test_named_source_is_the_only_place(online, entry, tmp_path, monkeypatch):
    monkeypatch.setenv("MC_KERAS_ZOO_URL", online.base)
    download.fetch(entry, "end")
    with pytest.raises(ValueError, match="No place has the zoo's file") as caught:
        download.fetch(entry, "end", tmp_path)
    assert f"Looked in: {tmp_path / 'toy/end.weights.h5'} does not exist." in str(caught.value)


def test_altered_and_truncated_files_of_a_source_are_told_apart(mirror, entry):
    (mirror / "toy/start.weights.h5").write_bytes(b"the staRt" * 1000)
    with pytest.raises(ValueError, match="is altered or another file: its sha256 is"):
        download.fetch(entry, "start", mirror)
    (mirror / "toy/start.weights.h5").write_bytes(b"the start")
    with pytest.raises(ValueError, match="is truncated or another file: it has 9 bytes"):
        download.fetch(entry, "start", mirror)


def test_error_names_the_file_its_digest_and_every_place(online, entry, cache, monkeypatch):
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{online.url}/a,{online.url}/b")
    with pytest.raises(ValueError, match="No place has the zoo's file") as caught:
        download.fetch(entry, "end")
    message = str(caught.value)
    for part in ("toy/end.weights.h5", entry.files["end"].sha256, str(cache)):
        assert part in message
    for place in "ab":
        assert f"{online.url}/{place}/toy/end.weights.h5 answered HTTP 404" in message
    assert files_below(cache) == []


def test_wrong_file_from_a_server_leaves_nothing(online, entry, cache):
    online.files["/zoo/toy/end.weights.h5"] = b"THE END"
    with pytest.raises(ValueError, match="another file: its sha256 is"):
        download.fetch(entry, "end", online.base)
    assert files_below(cache) == []


def test_offline_opens_no_socket(entry, monkeypatch):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("MC_KERAS_ZOO_URL", url)
    monkeypatch.setenv("MC_KERAS_OFFLINE", "1")
    with pytest.raises(ValueError, match="was not asked, as MC_KERAS_OFFLINE is set") as caught:
        download.fetch(entry, "end")
    for part in ("toy/end.weights.h5", entry.files["end"].sha256, url):
        assert part in str(caught.value)
    with listener, pytest.raises(TimeoutError):
        listener.accept()


def test_offline_still_reads_the_cache_and_folders(online, mirror, entry, monkeypatch):
    cached = download.fetch(entry, "end", online.base)
    monkeypatch.setenv("MC_KERAS_OFFLINE", "1")
    assert download.fetch(entry, "end") == cached
    monkeypatch.setenv("MC_KERAS_ZOO_URL", str(mirror))
    assert download.fetch(entry, "start") == mirror / "toy/start.weights.h5"


def test_offline_can_be_switched_off(online, entry, monkeypatch):
    monkeypatch.setenv("MC_KERAS_OFFLINE", "0")
    assert download.fetch(entry, "end", online.base).read_bytes() == b"the end"


def test_unknown_scheme(entry):
    with pytest.raises(ValueError, match="must be a folder or an http, https or file URL"):
        download.fetch(entry, "end", "s3://bucket/zoo")


def test_cache_folder(monkeypatch, tmp_path):
    assert download.cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("MC_KERAS_HOME")
    assert download.cache_folder() == tmp_path / "keras" / "mc_keras"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / ".keras" / "mc_keras"


def test_cache_below_a_file_is_one_clear_sentence(online, entry, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MC_KERAS_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match=r"Cannot write the download cache .*Not a directory"):
        download.fetch(entry, "end", online.base)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_cache_that_cannot_be_written_does_not_matter_to_local_files(mirror, entry, monkeypatch):
    monkeypatch.setenv("MC_KERAS_HOME", "/dev/null/cache")
    monkeypatch.setenv("MC_KERAS_ZOO_URL", str(mirror))
    assert download.fetch(entry, "end") == mirror / "toy/end.weights.h5"


def test_cache_without_permission(online, entry, tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir(mode=0o500)
    monkeypatch.setenv("MC_KERAS_HOME", str(tmp_path / "closed" / "cache"))
    with pytest.raises(OSError, match=r"Cannot write the download cache .*Permission denied"):
        call_as_owner(download.fetch, entry, "end", online.base)


def test_full_disk_is_one_clear_sentence(online, entry, cache):
    folder = cache / "toy" / "1" / entry.files["end"].sha256[:12]
    folder.mkdir(parents=True)
    # Every write to this device fails as on a full disk.
    (folder / "end.weights.h5.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device. Free some space there, or set"):
        download.fetch(entry, "end", online.base)
    assert files_below(cache) == []


def test_files_that_are_nowhere_are_told_apart(online, entry, tmp_path, monkeypatch):
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{online.url}/none,{tmp_path}")
    with pytest.raises(download.NotHereError, match=f"/none/.* HTTP 404 .*{remedy(entry)}"):
        download.fetch(entry, "end")
    with pytest.raises(download.NotHereError, match=f"toy/start.* does not exist. {remedy(entry)}"):
        download.fetch_all(entry, tmp_path)


def remedy(entry):
    return (
        f"Make its like again by `{' && '.join(entry.made_by)}` and name FOLDER as the source "
        r"\(--source=FOLDER\), or name a folder or URL that has this very file"
    )


@pytest.mark.parametrize("fault", ["wrong", "forbidden"])
def test_files_that_a_place_has_are_not_nowhere(online, entry, fault):
    if fault == "wrong":
        online.files["/zoo/toy/end.weights.h5"] = b"THE END"
    else:
        online.faults.append(403)
    with pytest.raises(ValueError, match=remedy(entry)) as caught:
        download.fetch(entry, "end", online.base)
    assert not isinstance(caught.value, download.NotHereError)


@pytest.mark.parametrize("reason", ["unreachable", "offline", "no URL"])
def test_files_that_nobody_could_be_asked_for_are_not_here(online, entry, monkeypatch, reason):
    download.fetch(entry, "start", online.base)
    base = {"unreachable": "http://127.0.0.1:9", "no URL": "http://[::1"}.get(reason, online.base)
    if reason == "offline":
        monkeypatch.setenv("MC_KERAS_OFFLINE", "1")
    with pytest.raises(download.NotHereError, match=remedy(entry)):
        download.fetch(entry, "end", base)
    # The cache has one of the two, and nothing says that the other is lost.
    with pytest.raises(download.NotHereError, match="toy/end"):
        download.fetch_all(entry, base)


def test_bad_place_does_not_keep_from_the_others(online, mirror, entry, monkeypatch):
    bad = f"ftp://x, http://[::1, http://{'a' * 64}.com, ~no_such_user/zoo, file://[::1"
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{bad}, {online.base}")
    assert not download.is_here(entry)
    assert download.fetch(entry, "end").read_bytes() == b"the end"
    monkeypatch.setenv("MC_KERAS_ZOO_URL", f"{bad}, {mirror}")
    assert download.is_here(entry)
    assert download.fetch(entry, "start") == mirror / "toy/start.weights.h5"


def test_error_is_one_line_whatever_is_in_it(entry):
    with pytest.raises(ValueError, match="127.0.0.1:9/a b/toy/end.weights.h5 cannot be reached"):
        download.fetch(entry, "end", "http://127.0.0.1:9/a\nb")


def test_all_files_of_an_entry(mirror, entry):
    files = download.fetch_all(entry, mirror)
    assert files == {role: mirror / f"toy/{role}.weights.h5" for role in ("start", "end")}
    assert download.is_here(entry, mirror)
    files["start"].unlink()
    assert not download.is_here(entry, mirror)
    # One of the two is there, so that the entry as a whole is damaged.
    with pytest.raises(ValueError, match="toy/start.weights.h5 does not exist") as caught:
        download.fetch_all(entry, mirror)
    assert not isinstance(caught.value, download.NotHereError)


def test_what_was_downloaded_is_here(online, entry):
    assert not download.is_here(entry, online.base)
    download.fetch_all(entry, online.base)
    assert download.is_here(entry)
    assert download.is_here(entry, online.base)


FETCH = """
import sys
from mc_keras.zoo import download, manifest
entry = manifest.load_manifest(sys.argv[1])["toy"]
print("ready", flush=True)
print(download.fetch(entry, "start", sys.argv[2], verbose=0), flush=True)
"""


@pytest.fixture
def start_process(tmp_path):
    """A function that starts a process which fetches the start of an entry from a base URL."""
    processes = []

    def start(entry, base):
        write_json(tmp_path / FILE_NAME, Manifest({"toy": entry}).to_json())
        command = [sys.executable, "-c", FETCH, str(tmp_path), base]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout.readline() == "ready\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_download_once(online, entry, cache, start_process):
    online.open.clear()
    processes = [start_process(entry, online.base) for _ in range(2)]
    time.sleep(0.2)  # both are at it: one waits for the server, the other for the lock
    online.open.set()
    outputs = [process.stdout.read() for process in processes]
    assert [process.wait(30) for process in processes] == [0, 0]
    assert outputs == [f"{download.fetch(entry, 'start')}\n"] * 2
    assert len(online.requests) == 1
    assert files_below(cache) == ["start.weights.h5"]


def test_waiting_for_another_process_is_announced(online, entry, cache, monkeypatch, capsys):
    monkeypatch.setattr(locks, "_SILENT_WAIT", 0.05)
    file = cache / "toy" / "1" / entry.files["start"].sha256[:12] / "start.weights.h5"
    file.parent.mkdir(parents=True)
    held = threading.Event()

    def hold():
        with filelock.FileLock(f"{file}.lock"):
            held.set()
            time.sleep(0.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    assert download.fetch(entry, "start", online.base, verbose=0) == file
    assert f"Waiting for another process, which downloads {file}" in capsys.readouterr().err
    other.join()


def test_killed_download_is_resumed(server, make_entry, start_process):
    contents = bytes(range(256)) * 20_000
    entry = make_entry(start=contents)
    server.files["/toy/start.weights.h5"] = contents
    server.faults.append(("stall", 3_000_000))
    process = start_process(entry, server.url)
    assert server.stalled.wait(30)
    time.sleep(0.2)  # let it write what has come
    process.kill()
    process.wait(30)
    assert download.fetch(entry, "start", server.url).read_bytes() == contents
    resumed = server.requests[1][1]
    assert resumed.startswith("bytes=")
    assert 1_000_000 < int(resumed.removeprefix("bytes=").removesuffix("-")) <= 3_000_000


def test_fetch_shows_progress_unless_told_not_to(online, entry, capsys):
    download.fetch(entry, "start", online.base)
    assert "toy/start.weights.h5 [" in capsys.readouterr().err
    download.fetch(entry, "end", online.base, verbose=0)
    assert capsys.readouterr().err == ""
