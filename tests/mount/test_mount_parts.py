"""The parts of the mount that need no kernel."""

from __future__ import annotations

import errno
import logging
import os

import pytest
import trio
import trio.testing

from tagfs.errors import FileError, Full, Integrity, Revoked, Unreachable, Usage
from tagfs.mount.errnos import errno_of
from tagfs.mount.handles import BATCH, Listing
from tagfs.mount.inodes import Inodes
from tagfs.mount.log import Discreet, describe
from tagfs.mount.options import HELP, MountOptions, parse
from tagfs.mount.patience import Patience

from plain_tree import ROOT, PlainTree  # isort: skip


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (FileError(errno.EPERM), errno.EPERM),
        (Unreachable("offline"), errno.ENETUNREACH),
        (Revoked("login"), errno.ENETUNREACH),
        (Full("full"), errno.ENOSPC),
        (Integrity("broken"), errno.EIO),
        (Usage("no such query"), errno.EINVAL),
        (OSError(errno.ENOSPC, "disk"), errno.ENOSPC),
        (FileNotFoundError(errno.ENOENT, "a spool file"), errno.EIO),
        (MemoryError(), errno.ENOMEM),
        (ZeroDivisionError(), errno.EIO),
        (ExceptionGroup("several", [FileError(errno.EACCES), ValueError()]), errno.EACCES),
    ],
)
def test_every_exception_has_an_errno(error: BaseException, number: int) -> None:
    assert errno_of(error) == number


def test_an_inode_is_let_go_when_the_last_reference_of_any_kind_is_gone() -> None:
    gone: list[int] = []
    inodes = Inodes(gone.append)
    inodes.looked_up(7)
    inodes.looked_up(7)
    inodes.opened(7)
    inodes.forgotten(7, 1)
    inodes.forgotten(7, 1)
    assert gone == []
    inodes.released(7)
    assert gone == [7]
    inodes.looked_up(8)
    inodes.opened(8)
    inodes.released(8)
    assert gone == [7]
    inodes.forgotten(8, 5)
    assert gone == [7, 8]
    inodes.forgotten(9, 1)
    assert gone == [7, 8]
    inodes.looked_up(10)
    inodes.opened(11)
    inodes.clear()
    assert sorted(gone) == [7, 8, 10, 11]


def test_a_listing_gives_nothing_that_has_gone_since_it_was_read_ahead() -> None:
    tree = PlainTree()
    names = [b"%d" % i for i in range(3 * BATCH)]
    for name in names:
        tree.create(ROOT, name, 0o644)
    listing, after, age, seen = Listing(ROOT), 0, 0, []
    while (entry := listing.next(tree, after, age)) is not None:
        after = entry[0]
        seen.append(entry[1])
        listing.given()
        if len(seen) == 10:
            tree.unlink(ROOT, names[20])
            age += 1
    assert seen == [n for n in names if n != names[20]]


def test_a_listing_can_be_continued_from_any_cookie() -> None:
    tree = PlainTree()
    cookies = {}
    for i in range(50):
        tree.create(ROOT, b"%d" % i, 0o644)
    listing = Listing(ROOT)
    for slot, name, _ in tree.list(ROOT, 0):
        cookies[name] = slot
    for start in (b"40", b"3", b"40", b"12"):
        entry = listing.next(tree, cookies[start], 0)
        assert entry is not None
        assert entry[1] == b"%d" % (int(start) + 1)


async def _wait_for(seconds: float) -> str:
    await trio.sleep(seconds)
    return "arrived"


def in_trio(test):
    """Run an async test on a clock that jumps."""

    def run() -> None:
        trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_trio
async def test_silence_ends_a_wait_after_ten_seconds() -> None:
    patience = Patience()
    assert await patience.wait_for_bytes(_wait_for(9.9)) == "arrived"
    begun = trio.current_time()
    with pytest.raises(FileError) as caught:
        await patience.wait_for_bytes(_wait_for(1000))
    assert caught.value.errno == errno.ENETUNREACH
    assert trio.current_time() - begun == pytest.approx(10)


@in_trio
async def test_bytes_that_flow_prolong_a_wait_up_to_a_minute() -> None:
    patience = Patience()
    async with trio.open_nursery() as nursery:

        async def flow() -> None:
            while True:
                await trio.sleep(1)
                patience.bytes_arrived()

        nursery.start_soon(flow)
        assert await patience.wait_for_bytes(_wait_for(50)) == "arrived"
        begun = trio.current_time()
        with pytest.raises(FileError):
            await patience.wait_for_bytes(_wait_for(1000))
        assert trio.current_time() - begun == pytest.approx(60)
        nursery.cancel_scope.cancel()


@in_trio
async def test_fetching_a_whole_file_may_take_a_minute() -> None:
    patience = Patience()
    assert await patience.wait_for_file(_wait_for(59)) == "arrived"
    with pytest.raises(FileError) as caught:
        await patience.wait_for_file(_wait_for(61))
    assert caught.value.errno == errno.ENETUNREACH


@in_trio
async def test_a_disk_that_does_not_answer_is_an_io_error() -> None:
    with pytest.raises(FileError) as caught:
        await Patience().wait_for_disk(_wait_for(1000))
    assert caught.value.errno == errno.EIO


def test_mount_options_are_read_and_unknown_ones_named() -> None:
    assert parse("") == MountOptions()
    assert parse("ro,noxattr, allow_other,nonempty,no_auto_unmount") == MountOptions(
        True, True, True, True, False
    )
    assert parse("rw,noauto,user,x-systemd.automount,_netdev") == MountOptions()
    with pytest.raises(Usage, match="sync_everything"):
        parse("ro,sync_everything")
    for option in HELP:
        name, is_valued, _ = option.partition("=")
        value = "2" if name in ("jobs", "nice") else "2M"
        assert parse(f"{name}={value}" if is_valued else name) != MountOptions(), option


def test_fuse_gets_the_names_that_mount_lists() -> None:
    assert parse("ro").for_fuse(helper=True) == {
        "fsname=tagfs",
        "subtype=tagfs",
        "default_permissions",
        "ro",
        "auto_unmount",
    }
    assert "auto_unmount" not in parse("").for_fuse(helper=False)


def test_the_log_has_the_place_of_an_error_and_not_its_words() -> None:
    try:
        try:
            os.stat("/nowhere/secret-name.jpg")
        except OSError as error:
            raise RuntimeError("about secret-name.jpg") from error
    except RuntimeError as error:
        caught = error
    record = logging.LogRecord(
        "tagfs", logging.ERROR, "", 0, "told", (), (RuntimeError, caught, caught.__traceback__)
    )
    for text in (describe(caught), Discreet("%(message)s").format(record)):
        assert "secret-name" not in text
        assert "FileNotFoundError (errno 2)" in text
        assert "test_mount_parts.py" in text


@pytest.mark.parametrize("text", ["jobs=0", "jobs=65", "jobs=two", "jobs=", "nice=20", "nice=-1"])
def test_a_number_that_makes_no_sense_is_refused_with_what_does(text: str) -> None:
    with pytest.raises(Usage, match=r"no number from \d+ to \d+"):
        parse(text)


def test_how_much_recognition_takes_is_an_option() -> None:
    chosen = parse("jobs=3,nice=0,battery")
    assert (chosen.jobs, chosen.nice, chosen.battery) == (3, 0, True)
