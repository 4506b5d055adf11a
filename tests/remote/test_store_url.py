"""URLs of stores, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tagfs.errors import Revoked, Usage
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


@pytest.mark.parametrize("scheme", ["s3", "webdav", "sftp"])
def test_remotes_of_later_versions_are_named(scheme: str) -> None:
    with pytest.raises(Usage, match="later version"):
        open_store(f"{scheme}://host/folder", create=True)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("dropbox:///gallery", "dropbox:///gallery"),
        ("dropbox:///mine/old-gallery/", "dropbox:///mine/old-gallery"),
        ("dropbox:///", "dropbox:///"),
    ],
)
def test_a_folder_in_dropbox_is_named_by_its_path(url: str, where: str) -> None:
    store = open_store(url, create=True)
    assert (store.kind, store.where) == ("dropbox", where)


@pytest.mark.parametrize("url", ["dropbox://gallery", "dropbox:///a?b", "dropbox:///Gallery"])
def test_what_is_no_folder_in_dropbox_is_wrong_usage(url: str) -> None:
    with pytest.raises(Usage, match="dropbox:///gallery"):
        open_store(url, create=True)


def test_without_a_login_dropbox_says_how_to_log_in() -> None:
    async def main() -> None:
        with pytest.raises(Revoked, match="tagfs remote login dropbox"):
            await open_store("dropbox:///gallery", create=True).stat("a")

    trio.run(main)


def test_without_the_sdk_dropbox_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.startswith("tagfs.remote.dropbox")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "dropbox", None)
    with pytest.raises(Usage, match=r"tagfs\[dropbox\]"):
        open_store("dropbox:///gallery", create=True)


def test_who_has_no_gallery_in_dropbox_does_not_load_its_sdk() -> None:
    code = (
        "import sys, tagfs.cli.main; from tagfs.remote.url import open_store;"
        "open_store('memory://x', create=True); sys.exit('dropbox' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_memory_stores_of_one_name_are_one_store() -> None:
    async def main() -> None:
        await open_store("memory://url-test", create=True).put("a", b"x")
        assert await open_store("memory://url-test", create=False).get("a") == b"x"
        assert (await open_store("memory://url-other", create=True).list()).entries == ()

    trio.run(main)
