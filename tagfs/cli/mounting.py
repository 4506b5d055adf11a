"""``tagfs mount`` and ``umount``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click

from tagfs.cli import passphrase, paths, uploads
from tagfs.cli.request import Request, common
from tagfs.cli.vaults import make_vault, recovery_text, remote_folder, same_disk_text
from tagfs.errors import MountError
from tagfs.mount import launch, options
from tagfs.mount import mountpoint as mounts
from tagfs.mount.control import Line
from tagfs.mount.launch import Order
from tagfs.mount.messages import Call
from tagfs.pipeline.state_dir import StateDir
from tagfs.vault.slots import Passphrase, Words

Json = Mapping[str, object]
OPTIONS_HELP = "Comma-separated: " + "; ".join(f"{k}: {v}" for k, v in options.HELP.items()) + "."


@click.command()
@click.argument("mountpoint")
@common()
@click.option("--foreground", is_flag=True, help="Stay in the foreground until unmounted.")
@click.option("-o", "chosen", metavar="OPTIONS", default="", help=OPTIONS_HELP)
def mount(request: Request, mountpoint: str, foreground: bool, chosen: str) -> None:
    """Show the gallery as a folder.

    Makes a vault first where there is none: asks for a passphrase and shows the recovery words,
    once. Returns when the mount answers; the gallery then stays in the background.
    """
    how = options.parse(chosen)
    where = mounts.canonical(mountpoint)
    state = request.vault or paths.default_state()
    mounts.check_fuse(how)
    there = paths.served_at(state)
    if there is not None:
        raise MountError(f"The vault in {state} is mounted at {there} already.")
    remote = _remote(state)
    mounts.apart(where, {"state directory": state, "vault": remote_folder(remote) or state})
    mounts.prepare(where, how)
    words: str | None = None
    secret: Passphrase | Words
    if StateDir(state).exists():
        secret = passphrase.known(request.source)
    else:
        secret = passphrase.new(request.source)
        words = make_vault(state, remote, secret)
        if not request.json:
            click.echo(recovery_text(words))
            request.say(same_disk_text(remote))
    order = Order(state, where, how, secret, foreground)
    paths.remember_mount(where, state)
    if foreground:
        launch.in_foreground(order)
    pid = launch.in_background(order)
    told: dict[str, object] = {"mountpoint": where, "vault": str(state), "pid": pid}
    if words is not None:
        told["recovery_words"] = words.split()
    if request.json:
        request.answer(told, "")
    request.say(f"Mounted at {where}; `tagfs umount {where}` takes it down.")


@click.command()
@click.argument("mountpoint")
@common(unlocks=False)
@click.option(
    "--lazy", is_flag=True, help="Take the name away at once; end when the last user is gone."
)
def umount(request: Request, mountpoint: str, lazy: bool) -> None:
    """Take the mount down; returns when everything sealed is safe on disk."""
    where = mounts.canonical(mountpoint)
    state = paths.state_of(where, request.vault)
    line = None if state is None else Line.to(state)
    unsent: Json | None = None
    text = f"{where} is unmounted; everything sealed is safe on disk."
    if line is not None:
        unsent = cast(Json, line.call(Call("umount", {"lazy": lazy})))
        text += uploads.left_behind(unsent)
    else:
        text = _take_down(where, lazy)
    paths.forget_mount(where)
    told = {"mountpoint": where} | ({} if unsent is None else {"not_stored": unsent})
    request.answer(told, text) if request.json else request.say(text)


def _take_down(where: str, lazy: bool) -> str:
    """Unmount what no daemon that can be asked serves."""
    there = mounts.mounted_at(where)
    if there is None or there.type != mounts.TYPE:
        raise MountError(f"No gallery is mounted at {where}.")
    if mounts.life(where) is mounts.Life.ANSWERS:
        mounts.detach(where, lazy)
        return (
            f"{where} is unmounted. Its daemon could not be asked (with --vault it can); it ends "
            "by itself when everything sealed is safe on disk."
        )
    mounts.detach(where, lazy=True)
    return f"{where} was left behind by a tagfs that is gone; it is cleaned up."


def _remote(state: Path) -> str:
    place = StateDir(state)
    return place.settings().remote if place.exists() else paths.default_remote()
