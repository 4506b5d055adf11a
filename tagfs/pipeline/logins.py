"""The login for the remote, sealed in the state directory; read anew whenever it is asked for."""

from __future__ import annotations

from pathlib import Path

from tagfs.errors import Integrity, Usage
from tagfs.pipeline.state_dir import StateDir, write_file
from tagfs.remote.login import Login, not_logged_in
from tagfs.vault import cbor
from tagfs.vault.header import open_header
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import KIND_LOGIN
from tagfs.vault.messages import open_local, seal_local
from tagfs.vault.slots import Secret

LONGEST = 4096
"""UTF-8 bytes of a token or key, at most."""


class Logins:
    """Gives the store its login. ``ring`` comes once the vault is unlocked."""

    def __init__(self, place: StateDir) -> None:
        self._place = place
        self.ring: KeyRing | None = None

    def read(self) -> Login:
        """Return the login that is kept now; Revoked where there is none. From any thread."""
        if self.ring is None:
            not_logged_in()
        assert self.ring is not None
        try:
            stored = self._place.login.read_bytes()
        except FileNotFoundError:
            return not_logged_in()
        return opened(self.ring, stored)


def keep(place: StateDir, ring: KeyRing, login: Login) -> None:
    """Write a login in the place of the one before. Blocks."""
    fields = {1: login.app_key, 2: login.refresh_token, 3: login.access_token}
    if any(len(text.encode()) > LONGEST for text in fields.values()):
        raise Usage("What Dropbox gave as a login is too long to be one.")
    write_file(place.login, seal_local(ring, KIND_LOGIN, cbor.encode(fields)))


def keep_unlocked(root: Path, secret: Secret, login: Login) -> None:
    """Write a login into the state directory of a vault, also while a daemon has it open.

    The daemon reads it at its next call. Blocks for the key derivation. Raises NotAVault,
    WrongSecret, Integrity.
    """
    place = StateDir(root)
    place.settings()
    ring, _ = open_header(place.header.read_bytes(), secret)
    keep(place, ring, login)


def opened(ring: KeyRing, stored: bytes) -> Login:
    """Read a sealed login; raises Integrity."""
    payload = open_local(ring, KIND_LOGIN, stored, "The login for the remote")
    try:
        fields = cbor.Fields(cbor.decode(payload))
        return Login(fields.text(1, LONGEST), fields.text(2, LONGEST), fields.text(3, LONGEST))
    except cbor.Malformed as e:
        raise Integrity(f"The login for the remote is malformed: {e}.") from None
