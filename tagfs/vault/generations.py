"""Header generations on a store: finding the newest, putting the next, removing the older.

Generations are put only-if-new, so of two devices that write the same one exactly one wins. A
listing may be stale, so the next generation is always probed for by name.
"""

from __future__ import annotations

from tagfs.errors import Exists, Integrity, NotAVault, NotFound, TagfsError
from tagfs.remote.store import Store
from tagfs.vault.header import MAX_HEADER
from tagfs.vault.layout import header_generation, header_path

_TRIES = 3
_AHEAD = 8
"""Generations that a listing may lag behind."""


async def find_newest(store: Store, known: int = 0) -> tuple[int, bytes]:
    """Return (generation, bytes) of the newest header; ``known`` is the highest seen before.

    Raises NotAVault when there is none, Integrity when there are only older ones than known.
    """
    for _ in range(_TRIES):
        candidates = sorted({known, *await _listed(store)} - {0}, reverse=True) or [1]
        found = await _first(store, candidates)
        if found is None:
            # Another device may have replaced all of them between listing and reading.
            continue
        while (later := await _get(store, found[0] + 1)) is not None:
            found = (found[0] + 1, later)
        if found[0] < known:
            raise Integrity(
                f"The vault's header {header_path(found[0])} is older than the one that was seen "
                f"before ({header_path(known)}): the remote was rolled back. Restore it."
            )
        return found
    if known:
        raise NotAVault(
            f"The vault's header is gone from {store.where}, though it was there before "
            f"({header_path(known)}). Restore it from the copy in the state directory."
        )
    raise NotAVault(f"There is no vault at {store.where}. Make one with `tagfs init`.")


async def put_next(store: Store, generation: int, data: bytes) -> bool:
    """Put a new generation and read it back; False when another device was faster.

    Only then are the older ones removed.
    """
    path = header_path(generation)
    try:
        await store.put(path, data)
    except Exists:
        # Perhaps an earlier attempt of ours whose answer was lost.
        if await store.get(path, 0, MAX_HEADER + 1) != data:
            return False
    if await store.get(path, 0, MAX_HEADER + 1) != data:
        raise Integrity(
            f"The vault header {path} does not read back as it was written; the older one stays. "
            "Check the remote."
        )
    for older in {*await _listed(store), generation - 1}:
        if 0 < older < generation:
            await store.delete(header_path(older))
    return True


async def refuse_if_taken(store: Store) -> None:
    """Raise TagfsError when there is a vault already."""
    if await _listed(store) or await _get(store, 1) is not None:
        raise TagfsError(
            f"There is a vault at {store.where} already. Use `tagfs join` to bring it here."
        )


async def _listed(store: Store) -> set[int]:
    generations: set[int] = set()
    cursor = None
    while True:
        page = await store.list("h/", cursor)
        generations |= {g for e in page.entries if (g := header_generation(e.name))}
        cursor = page.cursor
        if cursor is None:
            return generations


async def _first(store: Store, candidates: list[int]) -> tuple[int, bytes] | None:
    for candidate in candidates:
        # A stale listing still names what was replaced since.
        for generation in range(candidate, candidate + _AHEAD):
            data = await _get(store, generation)
            if data is not None:
                return generation, data
    return None


async def _get(store: Store, generation: int) -> bytes | None:
    try:
        return await store.get(header_path(generation), 0, MAX_HEADER + 1)
    except NotFound:
        return None
