"""pyfuse3's handlers: bytes and numbers at the edge, everything else is the tree's business."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import cast

import pyfuse3

from tagfs.errors import FileError, no_entry
from tagfs.mount.answering import answered
from tagfs.mount.attributes import Shown
from tagfs.mount.handles import DOTS, Handles
from tagfs.mount.inodes import Inodes
from tagfs.mount.log import note
from tagfs.mount.making import is_making_directory
from tagfs.mount.patience import Patience
from tagfs.mount.seam import Attributed, Bytes, Opened, Sync, Tree
from tagfs.views.desktop import is_probed

BLOCK = 4096
"""Unit of statfs, bytes."""
NEVER_HERE = (b"security.", b"trusted.", b"system.")
"""Extended attributes of other people's: ``write`` asks for security.capability each time."""


class Operations(pyfuse3.Operations):
    """The file system as the kernel sees it.

    ``changed`` is told of entries that a rename left other than the kernel believes; ``sync``
    makes everything so far survive a power cut; ``xattrs`` False has the kernel never ask for
    extended attributes, which makes ``ls -l`` and writing faster.
    """

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(
        self,
        tree: Tree,
        sync: Sync,
        changed: Callable[[int, bytes | None], None],
        *,
        xattrs: bool = True,
        patience: Patience | None = None,
    ) -> None:
        super().__init__()
        self._tree = tree
        self.acting = tree.acting
        self.refused = tree.refused
        self._sync = sync
        self._changed = changed
        self._xattrs = xattrs
        self._attributed = cast(Attributed | None, getattr(tree, "marks", None))
        self._patience = patience or Patience()
        self._shown = Shown()
        self._handles = Handles()
        self._inodes = Inodes(self._let_go)
        self._uid, self._gid = os.getuid(), os.getgid()
        self._age = 0  # grows with every change of any directory
        tree.on_change(self._grow_older)

    # -- names -------------------------------------------------------------------------------

    @answered
    async def lookup(
        self, parent: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Resolve a name."""
        if name == b".":
            attr = self._tree.attr(parent)
        elif name == b"..":
            attr = self._tree.attr(self._tree.parent(parent))
        else:
            try:
                attr = self._tree.look_up(parent, name)
            except FileError as error:
                if error.errno == errno.ENOENT and is_probed(name):
                    return self._shown.absent
                raise
            if attr.on_demand and is_making_directory(ctx.pid):
                raise no_entry()
        self._inodes.looked_up(attr.ino)
        return self._shown.show(attr)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Give references back. Answers nobody, so it may raise nothing at all."""
        for ino, times in inode_list:
            self._inodes.forgotten(ino, times)

    @answered
    async def opendir(self, ino: int, ctx: pyfuse3.RequestContext) -> int:
        """Begin a listing."""
        return self._handles.add_listing(ino)

    @answered
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """Give out entries with their attributes until the kernel's buffer is full."""
        tree, show, reply = self._tree, self._shown.show, pyfuse3.readdir_reply
        looked_up, age = self._inodes.looked_up, self._age
        listing = self._handles.listing(fh)
        if start_id < 1 and not reply(token, b".", show(tree.attr(listing.ino)), 1):
            return
        if start_id < DOTS:
            above = tree.attr(tree.parent(listing.ino))
            if not reply(token, b"..", show(above), DOTS):
                return
            start_id = DOTS
        after = start_id - DOTS
        while (entry := listing.next(tree, after, age)) is not None:
            after, name, attr = entry
            if not reply(token, name, show(attr), after + DOTS):
                return
            looked_up(attr.ino)
            listing.given()

    @answered
    async def releasedir(self, fh: int) -> None:
        """End a listing."""
        self._handles.end_listing(fh)

    @answered
    async def mkdir(
        self, parent: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Make a directory."""
        self._age += 1
        attr = self._tree.mkdir(parent, name, stat.S_IMODE(mode))
        self._inodes.looked_up(attr.ino)
        return self._shown.show(attr)

    @answered
    async def mknod(
        self, parent: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Make an ordinary file; devices, sockets and pipes are refused."""
        if not stat.S_ISREG(mode):
            raise FileError(errno.EPERM)
        self._age += 1
        attr = self._tree.create(parent, name, stat.S_IMODE(mode))
        self._inodes.looked_up(attr.ino)
        return self._shown.show(attr)

    @answered
    async def symlink(
        self, parent: int, name: bytes, target: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Make a symbolic link."""
        self._age += 1
        attr = self._tree.symlink(parent, name, target)
        self._inodes.looked_up(attr.ino)
        return self._shown.show(attr)

    @answered
    async def readlink(self, ino: int, ctx: pyfuse3.RequestContext) -> bytes:
        """Return where a symbolic link points."""
        return self._tree.read_link(ino)

    @answered
    async def link(
        self, ino: int, parent: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """List a file in one more place."""
        self._age += 1
        attr = self._tree.link(ino, parent, name)
        self._inodes.looked_up(attr.ino)
        return self._shown.show(attr)

    @answered
    async def unlink(self, parent: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """Remove a file from a place."""
        self._age += 1
        self._tree.unlink(parent, name)

    @answered
    async def rmdir(self, parent: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """Remove a directory."""
        self._age += 1
        self._tree.rmdir(parent, name)

    @answered
    async def rename(
        self,
        parent: int,
        name: bytes,
        new_parent: int,
        new_name: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        """Move an entry. Exchanging two is refused, and ``mv`` does without."""
        if flags & ~pyfuse3.RENAME_NOREPLACE:
            raise FileError(errno.EINVAL)
        tree = self._tree
        moved = tree.look_up(parent, name).ino
        self._age += 1
        tree.rename(parent, name, new_parent, new_name, bool(flags))
        # The kernel now shows the moved inode under the new name. In views the tree may see it
        # differently: what went to the trash, say, stands there under a name of its own.
        if self._maybe(new_parent, new_name) != moved:
            self._changed(new_parent, new_name)

    # -- attributes --------------------------------------------------------------------------

    @answered
    async def getattr(self, ino: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """Return what ``stat`` shows."""
        return self._shown.show(self._tree.attr(ino))

    @answered
    async def setattr(
        self,
        ino: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        """Change size, mode, modification time. Access times are not kept, owners not changed."""
        if (fields.update_uid and attr.st_uid != self._uid) or (
            fields.update_gid and attr.st_gid != self._gid
        ):
            raise FileError(errno.EPERM)
        if fields.update_size:
            if fh is not None:
                self._handles.file(fh).truncate(attr.st_size)
            else:
                await self._patience.wait_for_file(self._tree.truncate(ino, attr.st_size))
        if not (fields.update_mode or fields.update_mtime):
            return self._shown.show(self._tree.attr(ino))
        mode = stat.S_IMODE(attr.st_mode) if fields.update_mode else None
        mtime = attr.st_mtime_ns if fields.update_mtime else None
        return self._shown.show(self._tree.set_attr(ino, mode, mtime))

    @answered
    async def access(self, ino: int, mode: int, ctx: pyfuse3.RequestContext) -> bool:
        """Allow: the kernel has compared modes already (default_permissions)."""
        return True

    @answered
    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        """Return the last known size and room of the remote."""
        total, free, files = self._tree.statfs()
        answer = pyfuse3.StatvfsData()
        answer.f_bsize = answer.f_frsize = BLOCK
        answer.f_blocks = total // BLOCK
        answer.f_bfree = answer.f_bavail = free // BLOCK
        answer.f_ffree = answer.f_favail = 2**31
        answer.f_files = files + answer.f_ffree
        answer.f_namemax = 255
        return answer

    # -- bytes -------------------------------------------------------------------------------

    @answered
    async def create(
        self, parent: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        """Make a file and open it; one that appeared since the kernel looked is opened."""
        try:
            self._age += 1
            made = self._tree.create(parent, name, stat.S_IMODE(mode))
        except FileError as error:
            if error.errno != errno.EEXIST or flags & os.O_EXCL:
                raise
            made = self._tree.look_up(parent, name)
        info = await self._open(made.ino, flags & ~(os.O_CREAT | os.O_EXCL))
        self._inodes.looked_up(made.ino)
        # Opening may have emptied it; how long the name holds is known of the entry only.
        return info, self._shown.show(self._tree.attr(made.ino), made.volatile)

    @answered
    async def open(self, ino: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """Open a file."""
        return await self._open(ino, flags)

    @answered
    async def read(  # type: ignore[override]  # any buffer will do
        self, fh: int, offset: int, size: int
    ) -> Bytes:
        """Read; at once where the bytes are here. Nothing may run between this and the reply,
        because the buffer is used again."""
        opened = self._handles.file(fh)
        data = opened.read_now(offset, size)
        if data is None:
            self._handles.ask_by_page(fh, offset, size)
            data = await self._patience.wait_for_bytes(opened.read(offset, size))
        return data

    @answered
    async def write(self, fh: int, offset: int, data: bytes) -> int:
        """Write. With O_APPEND the kernel, through which every change goes, gave the offset."""
        return self._handles.file(fh).write(offset, data)

    @answered
    async def flush(self, fh: int) -> None:
        """A descriptor was closed: the last moment at which an error is seen by the program."""
        await self._patience.wait_for_disk(self._handles.file(fh).flush())

    @answered
    async def fsync(self, fh: int, datasync: bool) -> None:
        """Make a file survive a power cut."""
        await self._patience.wait_for_disk(self._handles.file(fh).fsync())

    @answered
    async def fsyncdir(self, fh: int, datasync: bool) -> None:
        """Make a directory, and with it everything else, survive a power cut."""
        await self._patience.wait_for_disk(self._sync())

    @answered
    async def release(self, fh: int) -> None:
        """Close a file; nobody hears of errors."""
        await self._release(self._handles.remove(fh))

    # -- extended attributes -----------------------------------------------------------------

    @answered
    async def getxattr(self, ino: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        """Return an extended attribute."""
        self._allow_xattrs(name)
        value = None
        if self._attributed is not None and not name.startswith(NEVER_HERE):
            value = self._attributed.xattr(ino, name)
        if value is None:
            raise FileError(errno.ENODATA)
        return value

    @answered
    async def listxattr(self, ino: int, ctx: pyfuse3.RequestContext) -> Sequence[bytes]:
        """Return the names of the extended attributes."""
        self._allow_xattrs()
        return self._attributed.xattrs(ino) if self._attributed is not None else []

    @answered
    async def setxattr(
        self, ino: int, name: bytes, value: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        """Write an extended attribute."""
        self._allow_xattrs(name)
        if self._attributed is None or name.startswith(NEVER_HERE):
            raise FileError(errno.ENOTSUP)
        self._attributed.set_xattr(ino, name, value)

    @answered
    async def removexattr(self, ino: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """Remove an extended attribute."""
        self._allow_xattrs(name)
        if self._attributed is None or name.startswith(NEVER_HERE):
            raise FileError(errno.ENODATA)
        self._attributed.remove_xattr(ino, name)

    # -- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Close what programs still have open, and forget every inode. The mount is gone."""
        for number, opened in self._handles.files():
            try:
                await self._patience.wait_for_disk(opened.flush())
                await self._release(self._handles.remove(number))
            except Exception as error:
                note("Closing an open file failed", error)
        self._inodes.clear()

    async def _open(self, ino: int, flags: int) -> pyfuse3.FileInfo:
        opened = await self._patience.wait_for_file(self._tree.open(ino, flags))
        self._inodes.opened(opened.ino)
        return pyfuse3.FileInfo(
            fh=self._handles.add(opened, flags),
            keep_cache=opened.keep_cache,
        )

    async def _release(self, opened: Opened) -> None:
        try:
            await self._patience.wait_for_disk(opened.release())
        finally:
            self._inodes.released(opened.ino)

    def _maybe(self, parent: int, name: bytes) -> int | None:
        try:
            return self._tree.look_up(parent, name).ino
        except FileError:
            return None

    def _allow_xattrs(self, name: bytes = b"") -> None:
        if not self._xattrs:
            raise FileError(errno.ENOSYS)  # the kernel does not ask again
        if name.startswith(b"system.posix_acl"):
            raise FileError(errno.ENOTSUP)

    def _grow_older(self, ino: int, name: bytes | None) -> None:
        self._age += 1

    def _let_go(self, ino: int) -> None:
        try:
            self._tree.forget(ino)
        except Exception as error:
            note("Forgetting an inode failed", error)
