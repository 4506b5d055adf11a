"""Public files by URL, from a small server that can be made to stop in the middle."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tagfs.errors import Refused, Unreachable
from tagfs.remote.download import download

DATA = bytes(range(256)) * 4096  # 1 MiB


class Server:
    """What it serves and how: the bytes, where it breaks off, whether it knows ranges."""

    def __init__(self) -> None:
        self.data = DATA
        self.breaks_at: int | None = None
        self.knows_ranges = True
        self.asked: list[str | None] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            served.asked.append(wanted)
            if self.path != "/weights":
                self.send_error(404)
                return
            start = 0
            if wanted and served.knows_ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
                if start >= len(served.data):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(served.data) - start))
            self.end_headers()
            self.wfile.write(served.data[start : served.breaks_at])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{http.server_port}/weights"
        yield served
        http.shutdown()
        thread.join()


def test_a_file_is_fetched(server: Server, tmp_path: Path) -> None:
    download(server.url, tmp_path / "part", len(DATA))
    assert (tmp_path / "part").read_bytes() == DATA


def test_what_was_broken_off_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    server.breaks_at = 700_000
    with pytest.raises(Unreachable, match="run the same again"):
        download(server.url, part, len(DATA))
    kept = part.stat().st_size
    assert 0 < kept <= 700_000
    server.breaks_at = None
    download(server.url, part, len(DATA))
    assert server.asked == [None, f"bytes={kept}-"]
    assert part.read_bytes() == DATA


def test_a_server_without_ranges_gives_it_from_the_start(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"what came before")
    server.knows_ranges = False
    download(server.url, part, len(DATA))
    assert part.read_bytes() == DATA


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(DATA)
    download(server.url, part, len(DATA))
    assert part.read_bytes() == DATA


def test_more_than_expected_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than the 1000 bytes"):
        download(server.url, tmp_path / "part", 1000)
    assert (tmp_path / "part").stat().st_size == 0


def test_a_file_that_is_not_there_is_refused_with_the_answer(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="404"):
        download(server.url + "s", tmp_path / "part", len(DATA))


def test_without_a_server_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="check the network"):
        download("http://127.0.0.1:1/weights", tmp_path / "part", len(DATA))
