"""Mounts a real vault: ``vault_server.py MOUNTPOINT FOLDER [--by-colour] [-o OPTIONS]``.

FOLDER has (or gets) ``state`` and ``remote``; a state that is gone is made anew by joining. Says
``ready``; quick KDF; no recogniser, or that of colours.py. Lines on stdin: ``wait stored``,
``wait recognised``, ``sync``, ``status``, ``hash``, ``undo``; ``many add 0 1000``,
``many remove 0 1000`` (photos without bytes in ``many/``, tagged many). With ``--far`` the remote
is no folder of this machine; ``gone`` takes it away, ``hang`` silences it, ``gets`` tells how many
objects it was asked for, ``calls`` how often it was asked anything. ``--patience``: seconds that a
reader waits in silence. ``--settle``: seconds after which a photo is looked at.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import WithEverything
from far_store import Far
from gallery_kit import SECRET, make, secret_of
from many import Many, names

from tagfs.mount import mountpoint
from tagfs.mount.options import parse
from tagfs.mount.patience import OFFLINE, Patience
from tagfs.mount.session import serve
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.opening import join, open_gallery
from tagfs.remote.url import dir_url, open_store
from tagfs.views.tree import Tree


async def obey(gallery: Gallery, far: Far, line: str) -> object:
    word, *rest = line.split()
    if word == "gone":
        far.gone = True
    if word == "hang":
        far.hangs = True
    if word == "gets":
        return far.gets
    if word == "calls":
        return far.calls
    if word == "wait":
        return await gallery.wait(rest[0], 60)
    if word == "looked":  # at the vault, which every opening does once
        await gallery.rollback.looked.wait()
    if word == "sync":
        await gallery.sync()
    if word == "status":
        return gallery.status().as_json()
    if word == "hash":
        return gallery.state.state_hash().hex()
    if word == "undo":
        return gallery.undoing.undo().text
    if word == "many":
        many = Many(gallery, b"many", "many")
        which = names(int(rest[1]), int(rest[2]))
        (many.add if rest[0] == "add" else many.remove)(which)
    return "done"


async def listen(gallery: Gallery, far: Far) -> None:
    stdin = trio.lowlevel.FdStream(os.dup(0))
    rest = b""
    async for data in stdin:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            print(json.dumps(await obey(gallery, far, line.decode())), flush=True)


async def run(args: argparse.Namespace) -> None:
    folder = Path(args.folder)
    if not (folder / "state").exists():
        if (folder / "remote").exists():
            await join(folder / "state", dir_url(folder / "remote"), SECRET)
        else:
            await make(folder)
    options = parse(args.o)
    where = mountpoint.canonical(args.mountpoint)
    mountpoint.prepare(where, options)
    remote = open_store(dir_url(folder / "remote"), create=False)
    far = Far(remote)
    async with (
        open_gallery(
            folder / "state",
            secret_of(folder / "state"),
            recogniser=WithEverything() if args.by_colour else None,
            open_remote=lambda url, create: far if args.far else remote,
        ) as gallery,
        trio.open_nursery() as nursery,
    ):
        gallery.looker.settle, gallery.looker.batch_wait = args.settle, 0.2
        nursery.start_soon(listen, gallery, far)
        await serve(
            Tree(gallery),
            gallery.sync,
            where,
            options,
            lambda: print("ready", flush=True),
            Patience(args.patience),
        )
        nursery.cancel_scope.cancel()
    print("clean", flush=True)


if __name__ == "__main__":
    logging.basicConfig()
    parser = argparse.ArgumentParser()
    parser.add_argument("mountpoint")
    parser.add_argument("folder")
    parser.add_argument("--by-colour", action="store_true")
    parser.add_argument("--far", action="store_true")
    parser.add_argument("--patience", type=float, default=OFFLINE)
    parser.add_argument("--settle", type=float, default=0.2)
    parser.add_argument("-o", default="")
    trio.run(run, parser.parse_args())
