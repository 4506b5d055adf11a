"""Does each act on a mount in a process of its own, as different programs do (``begin``)."""

from __future__ import annotations

import json
import os
import socket


def _write(path: str, flags: int, data: str) -> None:
    file = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        if data:
            os.write(file, data.encode("latin-1"))
    finally:
        os.close(file)


ACTS = {
    "write": _write,
    "truncate": os.truncate,
    "rename": os.rename,
    "link": lambda old, new: os.link(old, new, follow_symlinks=False),
    "unlink": os.unlink,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "symlink": os.symlink,
    "setxattr": lambda path, name, text: os.setxattr(path, name, text.encode()),
}


def begin(line: socket.socket) -> None:
    """Do what the lines of the socket say, ``[act, argument…]``, and answer with the errno, or 0.

    The process has no other threads, so that it can be forked at any time.
    """
    with line.makefile("rw", buffering=1) as lines:
        for text in lines:
            name, *arguments = json.loads(text)
            child = os.fork()
            if not child:
                try:
                    ACTS[name](*arguments)
                except OSError as e:
                    os._exit(e.errno or 255)
                except BaseException:
                    os._exit(255)
                os._exit(0)
            lines.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
