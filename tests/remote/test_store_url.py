"""URLs of stores, as a user types them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from tagfs.errors import Usage
from tagfs.remote.dir import DirStore
from tagfs.remote.url import dir_url, open_store


@pytest.mark.parametrize(
    "name", ["plain", "with space", "ünï", "50%", "a?b#c", os.fsdecode(b"bytes\xff")]
)
def test_a_folder_of_any_name_comes_back_from_its_url(tmp_path: Path, name: str) -> None:
    store = open_store(dir_url(tmp_path / name), create=True)
    assert isinstance(store, DirStore)
    assert store.where == str(tmp_path / name)


def test_a_url_can_be_typed_without_escapes() -> None:
    assert open_store("dir:///media/My Disk/vault", create=False).where == "/media/My Disk/vault"


@pytest.mark.parametrize(
    "url", ["", "/path", "dir://path", "dir:path", "dir:///a?b", "dir:///a%00b", "file:///a", "x"]
)
def test_what_is_no_store_is_wrong_usage_and_says_what_would_be_right(url: str) -> None:
    with pytest.raises(Usage, match=r"dir:///path|NUL"):
        open_store(url, create=True)


@pytest.mark.parametrize("scheme", ["dropbox", "s3", "webdav", "sftp"])
def test_remotes_of_later_versions_are_named(scheme: str) -> None:
    with pytest.raises(Usage, match="later version"):
        open_store(f"{scheme}://host/folder", create=True)


def test_memory_stores_of_one_name_are_one_store() -> None:
    async def main() -> None:
        await open_store("memory://url-test", create=True).put("a", b"x")
        assert await open_store("memory://url-test", create=False).get("a") == b"x"
        assert (await open_store("memory://url-other", create=True).list()).entries == ()

    trio.run(main)
