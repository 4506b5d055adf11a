"""Making, joining and opening a gallery: state directory, recovery after a crash, rebuilding."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from tagfs.catalog.state import State
from tagfs.catalog.store import CatalogStore
from tagfs.crypto.kdf import KdfParams
from tagfs.errors import Integrity, TagfsError, Usage
from tagfs.model import Clock, Content, ContentId, FileId, Taxonomy
from tagfs.pipeline import logins
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.copies import CACHE
from tagfs.pipeline.disk import REAL, Disk
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.heads import Heads
from tagfs.pipeline.journal import LocalJournal, Position
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.line import Line
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.looking import Looks
from tagfs.pipeline.pins import Pins
from tagfs.pipeline.rebuilding import rebuild
from tagfs.pipeline.recovery import recover, remove_orphans
from tagfs.pipeline.resting import Rest
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.pipeline.state_dir import Settings, StateDir, write_file
from tagfs.recognise import taxonomy
from tagfs.remote.login import AskLogin, Login, not_logged_in
from tagfs.remote.retry import HURRIED, RetryStore
from tagfs.remote.store import Store
from tagfs.remote.url import open_store
from tagfs.vault.slots import Passphrase, Secret, Words
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)

UNBOUNDED = 2**63
"""Bytes of copies that may lie in the cache until the gallery is open."""

OpenStore = Callable[[str, bool], Store]


def _opened(url: str, create: bool, how: OpenStore | None, login: AskLogin) -> Store:
    return how(url, create) if how is not None else open_store(url, create=create, login=login)


async def create(
    root: Path,
    remote: str,
    passphrase: Passphrase,
    params: KdfParams | None = None,
    open_remote: OpenStore | None = None,
    login: Login | None = None,
) -> str:
    """Make a vault on an empty remote and its state directory; return the 24 recovery words.

    ``login`` is what the remote knows the user by, kept sealed from now on.
    Raises Usage when the state directory has a vault already.
    """
    place = _empty(root)
    store = _opened(remote, True, open_remote, lambda: login or not_logged_in())
    try:
        vault, words = await Vault.create(store, passphrase, params)
        _write(place, vault, remote, login)
    finally:
        await store.close()
    return words


async def join(
    root: Path,
    remote: str,
    secret: Passphrase | Words,
    open_remote: OpenStore | None = None,
    login: Login | None = None,
) -> None:
    """Set up a state directory for a vault that exists, as a new device of it."""
    place = _empty(root)
    store = _opened(remote, False, open_remote, lambda: login or not_logged_in())
    try:
        _write(place, await Vault.join(store, secret), remote, login)
    finally:
        await store.close()


def _empty(root: Path) -> StateDir:
    place = StateDir(root)
    if place.exists():
        raise Usage(f"{root} has a vault already; choose another place with --vault.")
    place.create()
    return place


def _write(place: StateDir, vault: Vault, remote: str, login: Login | None) -> None:
    """Write what opening needs; the settings last, because they say that all is there."""
    write_file(place.header, vault.header)
    write_file(place.device, vault.device.seal(vault.ring))
    write_file(place.heads, vault.memory.seal(vault.ring))
    if login is not None:
        logins.keep(place, vault.ring, login)
    place.write_settings(Settings(remote, vault.ring.vault.hex()))


@asynccontextmanager
async def open_gallery(
    root: Path,
    secret: Secret,
    *,
    recogniser: Looks | None = None,
    no_recogniser: str = "none",
    jobs: int = 1,
    words: Taxonomy | None = None,
    open_remote: OpenStore | None = None,
    disk: Disk = REAL,
    now_ns: Callable[[], int] = time.time_ns,
    salvage: bool = False,
) -> AsyncIterator[Gallery]:
    """Unlock a vault from its state directory and run its tasks while the context is open.

    Needs the remote only when the catalog has to be built; with ``salvage`` it is built from what
    journals still tell when they are damaged. Raises NotAVault, WrongSecret,
    MountError (in use), Integrity.
    """
    place = StateDir(root)
    settings = place.settings()
    lock = place.lock()
    known = logins.Logins(place)
    store = RetryStore(_opened(settings.remote, False, open_remote, known.read))
    try:
        vault = await trio.to_thread.run_sync(_resume, place, store, secret)
        known.ring = vault.ring
        async with _assembled(
            place, vault, store, recogniser, no_recogniser, jobs, words, disk, now_ns, salvage
        ) as gallery:
            yield gallery
    finally:
        await store.close()
        os.close(lock)


def _resume(place: StateDir, store: Store, secret: Secret) -> Vault:
    header = _read(place.header)
    heads = place.heads.read_bytes() if place.heads.exists() else None
    return Vault.resume(store, header, secret, _read(place.device), heads)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise Integrity(
            f"{path} cannot be read ({e.strerror}); join the vault again into another directory."
        ) from None


@asynccontextmanager
async def _assembled(
    place: StateDir,
    vault: Vault,
    store: RetryStore,
    recogniser: Looks | None,
    no_recogniser: str,
    jobs: int,
    words: Taxonomy | None,
    disk: Disk,
    now_ns: Callable[[], int],
    salvage: bool,
) -> AsyncIterator[Gallery]:
    ring = vault.ring
    device = vault.device.id
    journal = LocalJournal.open(place.journal, ring.local_key(), disk)
    # No copy goes before it is known what is pinned.
    spool = Spool(place.spool, ring, disk=disk, cache_bytes=UNBOUNDED)
    scratches = Scratches(place.scratch, ring.local_key(), disk)
    recovered = await trio.to_thread.run_sync(recover, journal, spool, scratches, ring)
    catalog = _open_catalog(place, ring.catalog_key(), journal)
    state = State(catalog, words or taxonomy.load())
    clock = Clock(lambda: now_ns() // 1_000_000)

    def content(ident: ContentId) -> Content | None:
        photo = state.photos.get(ident)
        return None if photo is None else photo.content

    async def remember() -> None:
        await trio.to_thread.run_sync(write_file, place.heads, vault.memory.seal(vault.ring))

    local = LocalContents(catalog, spool)
    heads = Heads.beside(spool, place.kept_heads, ring, disk)
    contents = Contents(spool, scratches, store.with_patience(HURRIED), ring, heads)

    def content_of(ident: FileId) -> Content | None:
        file = state.file(ident)
        return None if file is None or file.content is None else content(file.content[0])

    pins = Pins(place.pins, ring, contents, content_of)
    ledger = Ledger(ring, device, clock, journal, catalog, state, local, now_ns)
    gallery = Gallery(
        ledger=ledger,
        spool=spool,
        scratches=scratches,
        contents=contents,
        local=local,
        store=store,
        line=Line(place.paused),
        rest=Rest(place.recognition_rests),
        pins=pins,
        vault=vault,
        recogniser=recogniser,
        no_recogniser=no_recogniser,
        jobs=jobs,
        remember=remember,
    )
    remove_orphans(recovered, spool, scratches)
    for problem in [*journal.damage, *(d.error for d in recovered.damaged)]:
        gallery.event(str(problem))
        log.error("%s", problem)
    raw = catalog.position()
    try:
        if raw is None:
            await rebuild(gallery.ledger, vault, salvage)
            await remember()
        gallery.replay(None if raw is None else Position.decode(raw))
        catalog.start()
        pins.begin()
        spool.copies.limit = place.cache_limit(CACHE)
        await trio.to_thread.run_sync(spool.shrink)
        failure: Exception | None = None
        with _unwrapped():
            async with trio.open_nursery() as nursery:
                await nursery.start(gallery.run)
                try:
                    yield gallery
                except Exception as e:
                    failure = e  # raised below as it is, not in the nursery's group
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        with trio.CancelScope(shield=True):
            await _close(gallery, catalog, journal)


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise a task's error as it is when it is the only one."""
    try:
        yield
    except BaseExceptionGroup as group:
        inner: BaseException = group
        while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
            inner = inner.exceptions[0]
        raise inner from None


def _open_catalog(place: StateDir, key: bytes, journal: LocalJournal) -> CatalogStore:
    """Open the catalog; begin an empty one when it is damaged or ahead of the journal."""
    try:
        catalog = CatalogStore(place.catalog, key)
    except Integrity as e:
        log.warning("the catalog is rebuilt: %s", e)
        CatalogStore.wipe(place.catalog)
        return CatalogStore(place.catalog, key)
    raw = catalog.position()
    if raw is None:
        return catalog
    position = Position.decode(raw)
    if journal.covers(position) and position >= journal.base:
        return catalog
    log.warning("the catalog is rebuilt: it does not match the journal")
    catalog.close()
    CatalogStore.wipe(place.catalog)
    return CatalogStore(place.catalog, key)


async def _close(gallery: Gallery, catalog: CatalogStore, journal: LocalJournal) -> None:
    """Bring everything to stable storage and let go."""
    try:
        await gallery.sync()
    except TagfsError as e:
        log.error("closing: %s", e)
    await trio.to_thread.run_sync(catalog.close)
    journal.close()
