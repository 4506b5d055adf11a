"""Mounts a PlainTree: ``plain_server.py MOUNTPOINT [-o OPTIONS] [--offline S] [--flowing S]``.

Says ``ready`` on stdout, then obeys lines on stdin (``appear NAME``, ``vanish NAME``,
``mode NAME OCTAL``, ``take-away NAME``,
``trickle NAME``, ``wait-for-reader``, ``state``), each answered by one line.
"""

from __future__ import annotations

import argparse
import json
import logging
import os

import trio
from plain_tree import PlainTree

from tagfs.mount import mountpoint
from tagfs.mount.options import parse
from tagfs.mount.patience import Patience
from tagfs.mount.session import serve


async def obey(tree: PlainTree, line: str) -> object:
    word, *rest = line.split()
    name = rest[0].encode() if rest else b""
    if word == "appear":
        tree.appear(name, b"appeared")
    elif word == "vanish":
        tree.vanish(name)
    elif word == "mode":
        tree.recall_mode(name, int(rest[1], 8))
    elif word == "take-away":
        tree.take_away(name)
    elif word == "trickle":
        tree.let_trickle(name)
    elif word == "wait-for-reader":
        await tree.reader_waits.wait()
    elif word == "state":
        return {
            "nodes": len(tree.nodes),
            "open": sum(tree.opened.values()),
            "synced": tree.synced,
        }
    return "done"


async def listen(tree: PlainTree) -> None:
    stdin = trio.lowlevel.FdStream(os.dup(0))
    rest = b""
    async for data in stdin:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            print(json.dumps(await obey(tree, line.decode())), flush=True)


async def run(args: argparse.Namespace) -> None:
    tree = PlainTree()
    options = parse(args.o)
    where = mountpoint.canonical(args.mountpoint)
    mountpoint.prepare(where, options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, tree)
        await serve(
            tree,
            tree.sync,
            where,
            options,
            lambda: print("ready", flush=True),
            Patience(args.offline, args.flowing),
        )
        nursery.cancel_scope.cancel()
    assert not sum(tree.opened.values()), "files left open"
    print("clean", flush=True)


if __name__ == "__main__":
    logging.basicConfig()
    parser = argparse.ArgumentParser()
    parser.add_argument("mountpoint")
    parser.add_argument("-o", default="")
    parser.add_argument("--offline", type=float, default=10)
    parser.add_argument("--flowing", type=float, default=60)
    trio.run(run, parser.parse_args())
