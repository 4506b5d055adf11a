"""The small files of the state directory are the old one or the new one, and never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tagfs.pipeline.state_dir import write_file

HEADER = os.urandom(1000)


def writing(room: int) -> Callable[[int, bytes], int]:
    """Return a write of a disk that takes little at a time, and ``room`` bytes in all."""
    real, left = os.write, room

    def write(fd: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = real(fd, memoryview(data)[: min(100, left)])
        left -= done
        return done

    return write


def test_a_file_that_the_disk_takes_in_pieces_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", writing(10_000))
    write_file(tmp_path / "header", HEADER)
    assert (tmp_path / "header").read_bytes() == HEADER


def test_on_a_disk_that_fills_up_meanwhile_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "header", b"the old one")
    monkeypatch.setattr(os, "write", writing(950))
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "header", HEADER)
    assert (tmp_path / "header").read_bytes() == b"the old one"
