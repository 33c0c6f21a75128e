import contextlib
import gzip
import hashlib
import http.server
import itertools
import os
import threading
import time

import pytest

from mc_keras.zoo import pace, transfer

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


@pytest.fixture
def fetch_from(tmp_path):
    """A function that fetches from a server whose every request `answer(request, offset)` gets.

    It returns the file and the list of offsets that were asked for, `None` without a range.
    """

    def run(answer, **options):
        offsets = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requested = self.headers.get("Range")
                offsets.append(int(requested[len("bytes=") : -1]) if requested else None)
                with contextlib.suppress(ConnectionError):
                    answer(self, offsets[-1])

            def log_message(self, *args):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
            thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                transfer.download(
                    f"http://127.0.0.1:{httpd.server_port}/weights",
                    tmp_path / "weights",
                    size=len(CONTENTS),
                    sha256=hashlib.sha256(CONTENTS).hexdigest(),
                    first_delay=0.001,
                    **options,
                )
            finally:
                httpd.shutdown()
                thread.join()
        return tmp_path / "weights", offsets

    return run


def send(request, body, status=200, **headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def send_range(request, start, stop, contents=CONTENTS):
    said = f"bytes {start}-{stop - 1}/{len(contents)}"
    send(request, contents[start:stop], 206, Content_Range=said, Content_Length=stop - start)


def send_half(request, contents=CONTENTS):
    send(request, contents[:150_000], Content_Length=len(contents))


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
    server.faults.extend([("cut", 70_000)] * 4)
    assert fetch(attempts=2).read_bytes() == CONTENTS
    assert len(server.requests) == 5


def test_small_pieces_count_together(fetch, server):
    server.faults.extend([("cut", 30_000)] * 9)
    assert fetch(attempts=4).read_bytes() == CONTENTS
    assert len(server.requests) == 10


def test_a_byte_per_connection_is_given_up(fetch, server, tmp_path):
    server.faults.extend([("cut", 1)] * 20)
    with pytest.raises(transfer.TransferError, match=r"cut off at 5 of 300000 bytes, 5 times"):
        fetch()
    assert len(server.requests) == 5
    assert os.listdir(tmp_path) == []


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
    with pytest.raises(transfer.UnavailableError, match=r"3 times in a row \(HTTP 503"):
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
    with pytest.raises(transfer.UnavailableError, match="cannot be reached"):
        transfer.download("http://127.0.0.1:9/x", tmp_path / "x", size=1, sha256="0" * 64)
    assert os.listdir(tmp_path) == []


def test_long_part_is_kept_while_the_server_is_down(tmp_path):
    (tmp_path / "x.part").write_bytes(b"x" * 2_000_000)
    with pytest.raises(transfer.UnavailableError, match="cannot be reached"):
        transfer.download("http://127.0.0.1:9/x", tmp_path / "x", size=3_000_000, sha256="0" * 64)
    assert os.listdir(tmp_path) == ["x.part"]


LONG_LABEL = "a" * 64


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:port/x", "is not a URL"),
        ("http://[::1", "is not a URL"),
        (f"http://{LONG_LABEL}.com/x", "is not a URL"),
        ("ftp://127.0.0.1/x", r"cannot be reached \(unknown url type: ftp"),
    ],
)
def test_what_is_no_url_of_a_server(tmp_path, url, message):
    with pytest.raises(transfer.UnavailableError, match=message):
        transfer.download(url, tmp_path / "x", size=1, sha256="0" * 64)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (f"http://{LONG_LABEL}.com/", "leads to none"),
        ("http://[::1", "leads to none"),
        ("ftp://127.0.0.1/", "unknown url type: ftp"),
        ("file:///etc/hostname", "answered HTTP 302 .*not allowed"),
    ],
)
def test_redirection_to_what_is_no_url_of_a_server(fetch_from, target, message):
    with pytest.raises(transfer.TransferError, match=message):
        fetch_from(lambda request, offset: send(request, b"", 302, Location=target))


def test_url_is_sent_in_ascii(server, tmp_path):
    server.files["/gr%C3%B6%C3%9Fe%20/a%20b"] = b"x"
    url, sha256 = f"{server.url}/gr\u00f6\u00dfe%20/a b", hashlib.sha256(b"x").hexdigest()
    transfer.download(url, tmp_path / "x", size=1, sha256=sha256)
    assert (tmp_path / "x").read_bytes() == b"x"


def test_file_that_changes_between_two_pieces_is_fetched_again(fetch_from):
    def answer(request, offset):
        if len(seen) == 0:
            send_half(request, CONTENTS[::-1])
        else:
            send_range(request, offset, len(CONTENTS)) if offset else send(request, CONTENTS)
        seen.append(offset)

    seen = []
    file, offsets = fetch_from(answer)
    assert file.read_bytes() == CONTENTS
    assert offsets == [None, 150_000, None]


def test_range_may_be_answered_in_pieces(fetch_from):
    def answer(request, offset):
        if offset is None:
            send_half(request)
        else:
            send_range(request, offset, min(offset + 70_000, len(CONTENTS)))

    file, offsets = fetch_from(answer, attempts=2)
    assert file.read_bytes() == CONTENTS
    assert offsets == [None, 150_000, 220_000, 290_000]


@pytest.mark.parametrize(
    "said", ["bytes 149999-299999/300000", "bytes */300000", f"bytes {'9' * 5000}-1/1", "", "lines"]
)
def test_range_that_does_not_fit_begins_again(fetch_from, said):
    def answer(request, offset):
        if offset:
            send(request, CONTENTS[offset - 1 :], 206, Content_Range=said)
        elif started:
            send(request, CONTENTS, Content_Length=len(CONTENTS))
        else:
            started.append(True)
            send_half(request)

    started = []
    file, offsets = fetch_from(answer)
    assert file.read_bytes() == CONTENTS
    assert offsets == [None, 150_000, None]


def test_range_that_nobody_asked_for(fetch_from):
    with pytest.raises(transfer.TransferError, match="sent a part that was not asked for"):
        fetch_from(lambda request, offset: send_range(request, 5, 300_000), attempts=2)


def test_first_piece_again_and_again_is_given_up(fetch_from):
    with pytest.raises(transfer.TransferError, match="cut off at 100000 of 300000 bytes, 2 times"):
        fetch_from(lambda request, offset: send_range(request, 0, 100_000), attempts=2)


def test_range_of_a_longer_file(fetch_from, tmp_path):
    def answer(request, offset):
        if offset:
            send_range(request, offset, 300_001, CONTENTS + b"+")
        else:
            send_half(request)

    with pytest.raises(transfer.TransferError, match="has 300001 bytes, expected 300000"):
        fetch_from(answer)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_shorter_file_in_chunks(fetch_from, encoding):
    body = gzip.compress(CONTENTS) if encoding == "gzip" else CONTENTS[:7000]

    def answer(request, offset):
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        send(request, chunks, Transfer_Encoding="chunked", Content_Encoding=encoding)

    named = ", sent with Content-Encoding: gzip" if encoding == "gzip" else ""
    message = f"is another file: it has {len(body)} bytes, expected 300000{named}$"
    with pytest.raises(transfer.TransferError, match=message):
        fetch_from(answer)


@pytest.mark.parametrize("where", ["headers", "body"])
def test_server_that_sends_a_byte_now_and_then_is_given_up(fetch_from, monkeypatch, where):
    monkeypatch.setattr(pace, "_LOWEST_RATE", 10 * pace.BLOCK)

    def answer(request, offset):
        if where == "body":
            send(request, b"", Content_Length=len(CONTENTS))
        else:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nName: ")
        for _ in range(100):
            request.wfile.write(b"x")
            time.sleep(0.02)

    kind = transfer.TransferError if where == "body" else transfer.UnavailableError
    with pytest.raises(kind, match=r"2 times in a row \((timed out|slower than)"):
        fetch_from(answer, attempts=2)


def test_server_that_is_always_too_slow_is_given_up_however_far_it_gets(fetch_from, monkeypatch):
    monkeypatch.setattr(pace, "_LOWEST_RATE", 4 * pace.BLOCK)

    def answer(request, offset):
        start = offset or 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Range", f"bytes {start}-{len(CONTENTS) - 1}/{len(CONTENTS)}")
        request.send_header("Content-Length", len(CONTENTS) - start)
        request.end_headers()
        for begin in range(start, len(CONTENTS), 10_000):
            request.wfile.write(CONTENTS[begin : begin + 10_000])
            time.sleep(0.06)

    with pytest.raises(transfer.TransferError, match=r"3 times in a row \((timed out|slower than)"):
        fetch_from(answer, attempts=3)


def test_server_that_keeps_the_lowest_rate_is_heard_out(fetch_from, monkeypatch):
    monkeypatch.setattr(pace, "_LOWEST_RATE", pace.BLOCK)

    def answer(request, offset):
        send(request, b"", Content_Length=len(CONTENTS))
        for start in range(0, len(CONTENTS), 30_000):
            request.wfile.write(CONTENTS[start : start + 30_000])
            time.sleep(0.15)

    file, offsets = fetch_from(answer)
    assert file.read_bytes() == CONTENTS
    assert offsets == [None]


def test_what_a_server_says_is_shown_in_characters_that_can_be_printed(fetch_from):
    def answer(request, offset):
        request.wfile.write(b"\x00\x1b[31m nonsense\r\n\r\n")

    with pytest.raises(transfer.TransferError, match="nonsense") as refused:
        fetch_from(answer, attempts=2)
    assert str(refused.value).isprintable()
