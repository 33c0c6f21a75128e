import hashlib
import itertools
import os

import pytest

from mc_keras.zoo import transfer

CONTENTS = bytes(itertools.islice(itertools.cycle(range(251)), 300_000))


@pytest.fixture
def fetch(server, tmp_path):
    server.files["/weights"] = CONTENTS

    def run(contents=CONTENTS, **options):
        file = tmp_path / "weights"
        transfer.download(
            f"{server.url}/weights",
            file,
            size=len(contents),
            sha256=hashlib.sha256(contents).hexdigest(),
            first_delay=0.001,
            **options,
        )
        return file

    return run


def ranges(server):
    return [requested for _, requested in server.requests]


def test_whole_file_in_one_request(fetch, server, tmp_path):
    seen = []
    assert fetch(on_progress=seen.append).read_bytes() == CONTENTS
    assert ranges(server) == [None]
    assert seen[0] == 0
    assert seen[-1] == len(CONTENTS)
    assert seen == sorted(seen)
    assert os.listdir(tmp_path) == ["weights"]


def test_cut_connections_are_resumed_where_they_stopped(fetch, server):
    server.faults.extend([("cut", 100_000), ("cut", 50_000), None])
    assert fetch().read_bytes() == CONTENTS
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]


def test_cuts_that_bring_the_file_further_are_not_counted(fetch, server):
    server.faults.extend([("cut", 30_000)] * 9)
    assert fetch(attempts=2).read_bytes() == CONTENTS
    assert len(server.requests) == 10


def test_server_that_ignores_ranges_begins_again(fetch, server):
    server.heeds_ranges = False
    server.faults.extend([("cut", 100_000), None])
    assert fetch().read_bytes() == CONTENTS
    assert ranges(server) == [None, "bytes=100000-"]


def test_server_that_ignores_ranges_and_always_cuts_is_given_up(fetch, server, tmp_path):
    server.heeds_ranges = False
    server.faults.extend([("cut", 100_000)] * 20)
    with pytest.raises(transfer.TransferError, match=r"cut off at 100000 of 300000 bytes, 5 times"):
        fetch()
    assert len(server.requests) == 5
    assert os.listdir(tmp_path) == []


def test_without_a_length_a_cut_connection_is_seen(fetch, server):
    server.sends_length = False
    server.faults.extend([("cut", 100_000), None])
    assert fetch().read_bytes() == CONTENTS
    assert ranges(server) == [None, "bytes=100000-"]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_errors_are_retried(fetch, server, status):
    server.faults.extend([status, status, None])
    assert fetch().read_bytes() == CONTENTS
    assert len(server.requests) == 3


def test_lasting_503_is_given_up(fetch, server, tmp_path):
    server.faults.extend([503] * 9)
    with pytest.raises(transfer.TransferError, match=r"3 times in a row \(HTTP 503"):
        fetch(attempts=3)
    assert len(server.requests) == 3
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("status", [404, 403, 410])
def test_final_errors_are_not_retried(fetch, server, tmp_path, status):
    server.faults.append(status)
    with pytest.raises(transfer.TransferError, match=f"answered HTTP {status}"):
        fetch()
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_file_of_the_right_size_with_wrong_contents(fetch, server, tmp_path):
    server.files["/weights"] = CONTENTS[::-1]
    with pytest.raises(transfer.TransferError, match="another file: its sha256 is"):
        fetch()
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("sends_length", [True, False])
def test_longer_file(fetch, server, tmp_path, sends_length):
    server.sends_length = sends_length
    server.files["/weights"] = CONTENTS + b"more"
    with pytest.raises(transfer.TransferError, match=r"another file: it has .*30000"):
        fetch()
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_shorter_file(fetch, server, tmp_path):
    server.files["/weights"] = CONTENTS[:-7]
    with pytest.raises(transfer.TransferError, match="has 299993 bytes, expected 300000"):
        fetch()
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_shorter_file_without_a_length(fetch, server, tmp_path):
    server.sends_length = False
    server.files["/weights"] = CONTENTS[:-7]
    with pytest.raises(transfer.TransferError, match="cut off at 299993 of 300000 bytes"):
        fetch()
    assert os.listdir(tmp_path) == []


def test_part_of_another_file_is_recognised(fetch, server, tmp_path):
    (tmp_path / "weights.part").write_bytes(b"x" * 1000)
    assert fetch().read_bytes() == CONTENTS
    assert ranges(server) == ["bytes=1000-", None]


def test_part_that_is_too_long_begins_again(fetch, tmp_path):
    (tmp_path / "weights.part").write_bytes(CONTENTS + b"more")
    assert fetch().read_bytes() == CONTENTS


def test_part_that_is_whole_needs_no_request(fetch, server, tmp_path):
    (tmp_path / "weights.part").write_bytes(CONTENTS)
    assert fetch().read_bytes() == CONTENTS
    assert server.requests == []


def test_long_part_is_kept_for_the_next_call(fetch, server, tmp_path):
    contents = CONTENTS * 10
    server.files["/weights"] = contents
    server.faults.extend([("cut", 2_000_000), ("cut", 0)])
    with pytest.raises(transfer.TransferError, match="cut off at 2000000 of 3000000 bytes"):
        fetch(contents, attempts=2)
    assert os.listdir(tmp_path) == ["weights.part"]
    server.requests.clear()
    assert fetch(contents).read_bytes() == contents
    assert ranges(server) == ["bytes=2000000-"]
    assert os.listdir(tmp_path) == ["weights"]


def test_full_disk(fetch, tmp_path):
    # Every write to this device fails as on a full disk.
    (tmp_path / "weights.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fetch()
    assert os.listdir(tmp_path) == []


def test_server_that_is_not_there(tmp_path):
    with pytest.raises(transfer.TransferError, match="cannot be reached"):
        transfer.download("http://127.0.0.1:9/x", tmp_path / "x", size=1, sha256="0" * 64)
    assert os.listdir(tmp_path) == []


def test_url_with_a_wrong_port(tmp_path):
    with pytest.raises(transfer.TransferError, match="is not a URL"):
        transfer.download("http://127.0.0.1:port/x", tmp_path / "x", size=1, sha256="0" * 64)
