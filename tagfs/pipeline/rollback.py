"""Told at every opening: whether the vault on the remote is older than what was seen of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from tagfs.errors import RemoteError, TagfsError
from tagfs.vault.generations import find_newest
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)


class RollbackWatch:
    """Compares header and journals on the remote with what this device remembers of them."""

    def __init__(self, vault: Vault, tell: Callable[[str], None]) -> None:
        self._vault = vault
        self._tell = tell
        self.problem: str | None = None
        """What was noticed, None as long as nothing was."""
        self.looked = trio.Event()
        """Set once the remote has been asked."""

    async def look(self) -> None:
        """Look once, as soon as the remote answers; nobody waits for it."""
        try:
            problems = await self._header()
            problems += [alarm.text() for alarm in await self._vault.check()]
        except RemoteError as e:
            log.warning("not looked for a rollback: %s", type(e).__name__)
            return
        except TagfsError as e:
            problems = [str(e)]
        finally:
            self.looked.set()
        for problem in problems:
            self._tell(problem)
            log.error("%s", problem)
        self.problem = problems[0] if problems else None

    async def _header(self) -> list[str]:
        """Raise Integrity for a header that is older than the one that was seen."""
        vault = self._vault
        known = vault.header, vault.info.generation
        generation, header = await find_newest(vault.store, vault.memory.generation)
        # A newer one is no rollback; whoever needs it takes it.
        if generation == known[1] == vault.info.generation and header != known[0]:
            return [f"The vault header {vault.info.path} is another one than before; restore it."]
        return []
