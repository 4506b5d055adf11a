"""A vault: a key ring on a store, this device in it, and everybody's journal.

Nothing here knows what units mean. Argon2id runs in a thread; the store does what else blocks.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import trio

from tagfs.crypto.kdf import KdfParams
from tagfs.errors import Exists, Integrity, NotFound, TagfsError
from tagfs.model import DeviceId
from tagfs.remote.store import Store
from tagfs.vault import chains
from tagfs.vault.chains import Alarm, check_next
from tagfs.vault.device import (
    MAX_CERTIFICATE,
    Certificate,
    DeviceKeys,
    certificate_name,
    certify,
    open_certificate,
)
from tagfs.vault.generations import find_newest, put_next, refuse_if_taken
from tagfs.vault.header import (
    HeaderInfo,
    create_header,
    next_header,
    open_header,
    with_device,
    with_passphrase,
    with_words,
)
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import certificate_path, segment_path
from tagfs.vault.memory import Memory
from tagfs.vault.segments import (
    MAX_STORED,
    Head,
    Segment,
    SegmentWriter,
    epoch_of,
    open_segment,
    segment_name,
)
from tagfs.vault.slots import DevicePrivate, Passphrase, Secret, Words
from tagfs.vault.words import new_entropy, to_words

Random = Callable[[int], bytes]


class Diverged(Integrity):
    """This device's journal on the remote goes on with what it never wrote: cloned or restored.

    The caller goes on under a new device id (``Vault.enrol``).
    """


class Vault:
    """An unlocked vault. ``memory`` is what the caller keeps across runs."""

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        header: bytes,
        info: HeaderInfo,
        device: DeviceKeys,
        memory: Memory,
        random: Random = secrets.token_bytes,
    ) -> None:
        """Put the pieces together; see create, join and open. Touches no store."""
        self.store = store
        self.ring = ring
        self.header = header  # bytes of the newest generation, to be kept for offline opening
        self.info = info
        self.device = device
        self.memory = memory
        self._random = random
        self._certificates: dict[tuple[DeviceId, int], Certificate] = {}
        self._epochs: dict[Head, int] = {}  # by the last segment read of each device
        memory.generation = max(memory.generation, info.generation)

    # -- opening ---------------------------------------------------------------------------

    @classmethod
    async def create(
        cls,
        store: Store,
        passphrase: Passphrase,
        params: KdfParams | None = None,
        label: str = "",
        random: Random = secrets.token_bytes,
        now_ms: int | None = None,
    ) -> tuple[Self, str]:
        """Make a vault on an empty store; return it with its 24 recovery words.

        The header is put last: without it there is no vault. Raises TagfsError when there is
        one already.
        """
        await refuse_if_taken(store)
        ring = KeyRing.create(random)
        device = DeviceKeys.create(random)
        entropy = new_entropy(random)
        header, info = await trio.to_thread.run_sync(
            create_header, ring, passphrase, entropy, device, params, random
        )
        vault = cls(store, ring, header, info, device, Memory(), random)
        await vault._put_only_new(*certify(ring, device, now_ms, label, random))
        if not await put_next(store, 1, header):
            raise TagfsError(f"Another device is making a vault at {store.where}; join that one.")
        return vault, to_words(entropy)

    @classmethod
    async def join(
        cls,
        store: Store,
        secret: Passphrase | Words,
        label: str = "",
        random: Random = secrets.token_bytes,
        now_ms: int | None = None,
    ) -> Self:
        """Open a vault on a machine that has never seen it, as a new device."""
        device = DeviceKeys.create(random)
        while True:
            generation, header = await find_newest(store)
            ring, info = await trio.to_thread.run_sync(open_header, header, secret, generation)
            vault = cls(store, ring, header, info, device, Memory(), random)
            if await vault._try_enrol(device, label, now_ms):
                return vault

    @classmethod
    def resume(
        cls,
        store: Store,
        header: bytes,
        secret: Secret,
        device_file: bytes,
        memory_file: bytes | None,
        random: Random = secrets.token_bytes,
    ) -> Self:
        """Open from what the state directory keeps, without the store. Blocks for the KDF.

        ``header`` is ``Vault.header`` as it was kept; call ``refresh`` once the store answers.
        """
        ring, info = open_header(header, secret)
        device = DeviceKeys.open(ring, device_file)
        memory = Memory() if memory_file is None else Memory.open(ring, memory_file)
        return cls(store, ring, header, info, device, memory, random)

    @classmethod
    async def open(
        cls,
        store: Store,
        secret: Secret,
        device: DeviceKeys,
        memory: Memory | None = None,
        random: Random = secrets.token_bytes,
    ) -> Self:
        """Open the newest header of the store for a device that is in the vault already."""
        memory = memory or Memory()
        generation, header = await find_newest(store, memory.generation)
        ring, info = await trio.to_thread.run_sync(open_header, header, secret, generation)
        return cls(store, ring, header, info, device, memory, random)

    # -- headers ---------------------------------------------------------------------------

    async def refresh(self) -> bool:
        """Look for a newer header generation; say whether there was one.

        Opened with the device's own key: nobody needs to type anything. Raises WrongSecret when
        the vault is no longer sealed to this device, Integrity for a rollback.
        """
        generation, header = await find_newest(self.store, self.memory.generation)
        if generation == self.info.generation:
            if header != self.header:
                raise Integrity(
                    f"The vault header {self.info.path} is not the one that was seen before. "
                    "Restore the remote."
                )
            return False
        secret = DevicePrivate(self.device.id, self.device.exchange_private, self.ring)
        self._take(*open_header(header, secret, generation), header)
        return True

    async def enrol(self, device: DeviceKeys, label: str = "", now_ms: int | None = None) -> None:
        """Add a device and go on as that one: its certificate first, then a new header."""
        while not await self._try_enrol(device, label, now_ms):
            await self.refresh()
        self.device = device

    async def _try_enrol(self, device: DeviceKeys, label: str, now_ms: int | None) -> bool:
        path, stored = certify(self.ring, device, now_ms, label, self._random)
        await self._put_only_new(path, stored)
        return await self._put_header(self.ring, with_device(self.info, device))

    async def change_passphrase(
        self, passphrase: Passphrase, params: KdfParams | None = None
    ) -> None:
        """Replace the passphrase: a new generation, and the older one goes.

        Who kept an old header and the old passphrase still has the ring: only a rotation ends
        that.
        """

        def change(ring: KeyRing, info: HeaderInfo) -> HeaderInfo:
            return with_passphrase(ring, info, passphrase, params, self._random)

        await self._advance(change)

    async def change_words(self, words: Words) -> None:
        """Replace the recovery words; raises WrongSecret for what are none."""
        entropy = words.entropy()
        await self._advance(lambda ring, info: with_words(ring, info, entropy, self._random))

    async def rotate(
        self,
        change: Callable[[HeaderInfo], HeaderInfo] = lambda info: info,
        now_ms: int | None = None,
    ) -> None:
        """Begin a new epoch, sealed to every slot and device that ``change`` leaves.

        The devices are certified under the new epoch before its header stands, so that nobody
        meets a segment of theirs without a certificate.
        """
        while True:
            await self.refresh()
            kept = change(self.info)
            ring = self.ring.rotated(self._random)
            for slot in kept.devices:
                earlier = await self.certificate(slot.device, self.ring.newest.number)
                path, stored = certify(ring, earlier, now_ms, earlier.label, self._random)
                await self._put_only_new(path, stored)
            if await self._put_header(ring, kept):
                return

    async def _advance(self, change: Callable[[KeyRing, HeaderInfo], HeaderInfo]) -> None:
        """Put the header that ``change`` makes of the newest one, however often others do."""
        while True:
            info = await trio.to_thread.run_sync(change, self.ring, self.info)
            if await self._put_header(self.ring, info):
                return
            await self.refresh()

    async def _put_header(self, ring: KeyRing, info: HeaderInfo) -> bool:
        """Put ``info`` as the next generation and go on with it; False when others were faster."""
        header, following = next_header(ring, info, self._random)
        if not await put_next(self.store, following.generation, header):
            return False
        self._take(ring, following, header)
        return True

    def _take(self, ring: KeyRing, info: HeaderInfo, header: bytes) -> None:
        self.ring, self.info, self.header = ring, info, header
        self.memory.generation = max(self.memory.generation, info.generation)

    # -- devices ---------------------------------------------------------------------------

    async def devices(self) -> list[Certificate]:
        """Return the certificates of the devices that the ring is sealed to, newest epoch."""
        epoch = self.ring.newest.number
        return [await self.certificate(d.device, epoch) for d in self.info.devices]

    async def certificate(self, device: DeviceId, epoch: int) -> Certificate:
        """Return a device's certificate in an epoch; raises Integrity naming it."""
        known = self._certificates.get((device, epoch))
        if known is None:
            self.ring.epoch(epoch)
            path = certificate_path(certificate_name(self.ring, device, epoch))
            try:
                stored = await self.store.get(path, 0, MAX_CERTIFICATE + 1)
            except NotFound:
                raise Integrity(
                    f"Device {device.hex()} has no certificate in epoch {epoch} ({path})."
                ) from None
            known = open_certificate(self.ring, device, epoch, stored)
            self._certificates[device, epoch] = known
        return known

    async def _put_only_new(self, path: str, stored: bytes) -> None:
        with suppress(Exists):  # an earlier attempt whose answer was lost; readers verify it
            await self.store.put(path, stored)

    # -- journals --------------------------------------------------------------------------

    async def publish(self, units: Sequence[bytes]) -> Head:
        """Put the next segment of this device; when it returned, the units are on the remote.

        A segment that an earlier attempt left there, its answer lost, is taken over when its
        units are these. Raises Diverged when it holds others, ValueError for too much at once.
        """
        rest = list(units)
        if not rest:
            raise ValueError("there is nothing to publish")
        while rest:
            last = self.memory.heads.get(self.device.id)
            others = [h for d, h in sorted(self.memory.heads.items()) if d != self.device.id]
            writer = SegmentWriter(self.ring, self.device, last, self._random)
            path, stored, head = writer.seal(rest, others)
            try:
                await self.store.put(path, stored)
                rest = []
            except Exists:
                head, rest = self._take_over(
                    last, await self.segment(self.device.id, head.seq), rest
                )
            self.memory.note(head)
        return head

    def _take_over(
        self, last: Head | None, found: Segment | None, units: list[bytes]
    ) -> tuple[Head, list[bytes]]:
        """Return the head of our own earlier attempt, and the units that it does not hold."""
        if found is None:
            raise Integrity("The store says that our next segment exists and does not find it.")
        check_next(last, found)
        shared = min(len(found.units), len(units))
        if list(found.units[:shared]) != units[:shared]:
            raise Diverged(
                f"Segment {found.seq} of this device ({self.device.id.hex()}) stands on the "
                "remote and was not written by it: its state was restored or cloned. It goes on "
                "under a new device id."
            )
        return found.head, units[shared:]

    async def read_device(
        self, device: DeviceId, after: Head | None, limit: int = 64
    ) -> list[Segment]:
        """Return up to ``limit`` segments of a device that follow ``after``, chain verified.

        ``memory`` is left as it is: ``note`` what was applied. Raises Integrity naming the
        segment.
        """
        segments: list[Segment] = []
        last = after
        epoch = 0 if after is None else self._epochs.pop(after, 0)
        while len(segments) < limit:
            segment = await self.segment(device, last.seq + 1 if last else 1)
            if segment is None:
                break
            last = check_next(last, segment, epoch)
            epoch = segment.epoch
            segments.append(segment)
        if last is not None:
            self._epochs[last] = epoch
        return segments

    async def check(self) -> list[Alarm]:
        """Compare the heads that were seen with what is on the remote; empty when all is well."""
        heads = dict(self.memory.heads)  # others go on publishing meanwhile
        found: dict[DeviceId, list[Head]] = {}
        for device, seen in heads.items():
            at = await self._head_at(device, seen.seq)
            last = at or await self._last_before(device, seen.seq)
            found[device] = [last] if last else []
        return chains.compare(heads, found)

    async def segment(self, device: DeviceId, seq: int) -> Segment | None:
        """Return one segment, its signature verified and its place in the chain not."""
        stored = await self._stored(device, seq)
        if stored is None:
            return None
        epoch = epoch_of(stored, device, seq)
        if epoch > self.ring.newest.number:
            # Somebody rotated: the new header says how to read on. One that is damaged does not.
            with suppress(Integrity):
                await self.refresh()
        if 1 <= epoch <= self.ring.newest.number:  # else opening says that it is none
            await self.certificate(device, epoch)
        return open_segment(self.ring, self._certificates, device, seq, stored)

    async def _stored(self, device: DeviceId, seq: int) -> bytes | None:
        path = segment_path(segment_name(self.ring, device, seq))
        try:
            return await self.store.get(path, 0, MAX_STORED + 1)
        except NotFound:
            return None

    async def _head_at(self, device: DeviceId, seq: int) -> Head | None:
        segment = await self.segment(device, seq)
        return None if segment is None else segment.head

    async def _last_before(self, device: DeviceId, seq: int) -> Head | None:
        """Find where a chain ends that should be longer: a search by halving."""
        low, high = 0, seq
        while high - low > 1:
            middle = (low + high) // 2
            if await self._stored(device, middle) is None:
                high = middle
            else:
                low = middle
        return await self._head_at(device, low) if low else None
