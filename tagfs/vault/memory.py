"""What this machine remembers of a vault, so that it notices when the remote goes back in time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.vault import cbor
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import KIND_MEMORY
from tagfs.vault.messages import open_local, seal_local
from tagfs.vault.segments import MAX_HEADS, Head, decode_head


@dataclass(slots=True)
class Memory:
    """The highest header generation seen, and the last head seen of every device."""

    generation: int = 0
    heads: dict[DeviceId, Head] = field(default_factory=dict)

    def note(self, head: Head) -> None:
        """Remember a head if it is further than the one that is known."""
        known = self.heads.get(head.device)
        if known is None or head.seq > known.seq:
            self.heads[head.device] = head

    def seal(self, ring: KeyRing, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
        """Return the bytes of the file that keeps it in the state directory."""
        heads = [h.encode() for _, h in sorted(self.heads.items())]
        return seal_local(ring, KIND_MEMORY, cbor.encode({1: self.generation, 2: heads}), random)

    @classmethod
    def open(cls, ring: KeyRing, stored: bytes) -> Self:
        """Read the file; raises Integrity."""
        payload = open_local(ring, KIND_MEMORY, stored, "The file of heads seen")
        try:
            fields = cbor.Fields(cbor.decode(payload))
            heads = map(decode_head, fields.items(2, MAX_HEADS))
            return cls(fields.number(1, 2**32), {h.device: h for h in heads})
        except cbor.Malformed as e:
            raise Integrity(f"The file of heads seen is malformed: {e}.") from None
