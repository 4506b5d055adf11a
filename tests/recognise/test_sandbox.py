"""A locked-in worker can compute and nothing else: each thing an attacker would try fails."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tiny_network import SIDE, STRIDES, weights

from tagfs.recognise.convert import efficientnet_lite

pytest.importorskip("ai_edge_litert", reason="the interpreter ai-edge-litert is not installed")

# Loads what the worker loads, locks itself in, and tries. Nothing is imported after that.
ATTEMPTS = """
import ctypes, errno, json, os, resource, signal, socket, subprocess, sys, threading
import numpy
from PIL import Image
from tagfs.recognise import sandbox, worker
from tagfs.recognise.decode import prepare
from tagfs.recognise.interpreter import Network
prepare()
network = Network(sys.stdin.buffer.read())
image = numpy.zeros((network.side, network.side, 3), numpy.float32)
network.run(image)
libc = ctypes.CDLL(None, use_errno=True)
victim = os.getppid()
result = {}

def attempt(name, act):
    try:
        outcome = act()
    except OSError as e:
        result[name] = errno.errorcode.get(e.errno, str(e.errno))
    except BaseException as e:
        result[name] = type(e).__name__
    else:
        result[name] = "worked" if outcome in (None, 0) or outcome is not False else "failed"

def by_libc(function, *arguments):
    def act():
        ctypes.set_errno(0)
        if function(*arguments) < 0:
            raise OSError(ctypes.get_errno(), "")
    return act

CLONE = sandbox._MACHINES[os.uname().machine][2]
opened = os.open("/tmp", os.O_RDWR | os.O_TMPFILE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sandbox.limit_resources()
landlock = sandbox.lock_in()
attempt("open for writing", lambda: os.open("/tmp/tagfs-sandbox", os.O_WRONLY | os.O_CREAT))
attempt("open for reading", lambda: os.open("/etc/passwd", os.O_RDONLY))
attempt("connect", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("unix socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("fork", os.fork)
attempt("fork sharing memory", by_libc(libc.syscall, CLONE, 0x100 | signal.SIGCHLD, 0, 0, 0, 0))
attempt("new user namespace", by_libc(libc.syscall, CLONE, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0))
attempt("thread in a new namespace", by_libc(libc.syscall, CLONE, 0x3D0F00 | 0x20000, 0, 0, 0, 0))
attempt("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("ptrace", by_libc(libc.ptrace, 16, victim, 0, 0))
attempt("write to a file that was open", lambda: os.write(opened, b"x"))
attempt("kill", lambda: os.kill(victim, 0))
attempt("kill myself", lambda: os.kill(os.getpid(), signal.SIGUSR1))
attempt("list", lambda: os.listdir("/"))
attempt("unlink", lambda: os.unlink("/tmp/tagfs-sandbox"))
attempt("mount", by_libc(libc.mount, b"none", b"/mnt", b"tmpfs", 0, None))
attempt("read another process", by_libc(libc.process_vm_readv, victim, 0, 0, 0, 0, 0))
attempt("io_uring", by_libc(libc.syscall, 425, 1, 0))
attempt("raise the limits", by_libc(libc.setrlimit, 1, bytes(16)))
def in_a_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    assert done

attempt("begin a thread", in_a_thread)
attempt("run the network", lambda: network.run(image) and None)
attempt("compute", lambda: float(numpy.ones((300, 300)).dot(numpy.ones(300)).sum()))
attempt("decode", lambda: Image.new("RGB", (50, 50)).resize((20, 20)).tobytes())
print(json.dumps(result), flush=True)
"""

FORBIDDEN = [
    "open for writing",
    "open for reading",
    "connect",
    "unix socket",
    "exec",
    "fork",
    "fork sharing memory",
    "new user namespace",
    "thread in a new namespace",
    "spawn",
    "raise the limits",
    "ptrace",
    "kill",
    "kill myself",
    "list",
    "unlink",
    "mount",
    "read another process",
    "io_uring",
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ATTEMPTS],
        input=efficientnet_lite(weights(), STRIDES, SIDE),
        capture_output=True,
        timeout=60,
        env={},
    )
    assert done.stdout, done.stderr.decode()
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_locked_in_worker_cannot(outcomes: dict[str, str], what: str) -> None:
    assert outcomes[what] in ("EPERM", "EACCES"), f"{what}: {outcomes[what]}"


def test_a_file_left_open_cannot_grow(outcomes: dict[str, str]) -> None:
    assert outcomes["write to a file that was open"] == "EFBIG"


@pytest.mark.parametrize("what", ["compute", "decode", "begin a thread", "run the network"])
def test_a_locked_in_worker_can(outcomes: dict[str, str], what: str) -> None:
    assert outcomes[what] == "worked"
