"""Header generations: the file that turns a secret into the key ring.

``magic 8 ‖ format u16 ‖ body length u32 ‖ body (CBOR) ‖ MACs``. The body holds the slots, the
devices, the ring sealed under a ring key that is fresh in each generation, and that ring key
sealed to each slot and device. There is one MAC for each epoch: the newest makes the public keys
authentic that a rotation seals to, the earlier ones show whoever knows an earlier epoch that the
ring continues his and was not put there by the provider. docs/format.md, Header, is the exact
description.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto.kdf import KdfParams, derive
from tagfs.crypto.recipients import OVERHEAD, open_with, seal_to
from tagfs.errors import Integrity, NewerVault, NotAVault, WrongSecret
from tagfs.model import DeviceId
from tagfs.vault import cbor
from tagfs.vault.device import Certificate, DeviceKeys
from tagfs.vault.keys import MAX_EPOCHS, Epoch, KeyRing
from tagfs.vault.layout import header_path
from tagfs.vault.segments import MAX_HEADS
from tagfs.vault.slots import (
    WRAPPED,
    DevicePrivate,
    Passphrase,
    Secret,
    Slot,
    SlotKind,
    Words,
    new_slot,
    opens,
    unwrap,
)
from tagfs.vault.words import to_words

MAGIC: Final = b"tagfsH\r\n"
FORMAT: Final = 1
MAX_HEADER: Final = 1024 * 1024
"""Bytes of a header, at most."""
MAX_SLOTS: Final = 8
MAX_GENERATION: Final = 99_999_999
_FIXED: Final = struct.Struct(">8sHI")
_MAC: Final = 32

SealTo = Callable[[bytes, bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class DeviceSlot:
    """A device that the ring is sealed to, so that it learns new epochs by itself."""

    device: DeviceId
    public: bytes  # 32 bytes, X25519


@dataclass(frozen=True, slots=True)
class HeaderInfo:
    """What a header says besides the ring; authentic once open_header returned it."""

    vault: bytes
    generation: int
    slots: tuple[Slot, ...]
    devices: tuple[DeviceSlot, ...]
    complete: bool = field(default=True, compare=False)  # nothing in it was skipped as unknown

    @property
    def path(self) -> str:
        """The remote name of this generation."""
        return header_path(self.generation)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A header as it was read: nothing in it is authentic yet."""

    info: HeaderInfo
    epoch: int
    ring_keys: tuple[bytes, ...]  # sealed, for the slots and then the devices
    ring: bytes  # sealed
    signed: bytes  # what the MAC covers
    macs: bytes  # 32 bytes for each epoch
    name: str


def create_header(
    ring: KeyRing,
    passphrase: Passphrase,
    entropy: bytes,
    device: DeviceKeys,
    params: KdfParams | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
    seal: SealTo = seal_to,
) -> tuple[bytes, HeaderInfo]:
    """Return the first generation: a passphrase slot, a words slot, one device."""
    words = Words(to_words(entropy))
    costs = params or KdfParams()
    slots = (
        new_slot(ring, passphrase, costs, random),
        new_slot(ring, words, costs, random),
    )
    devices = (DeviceSlot(device.id, device.exchange_public),)
    info = HeaderInfo(ring.vault, 1, slots, devices)
    return _encode(ring, info, random, seal), info


def next_header(
    ring: KeyRing,
    info: HeaderInfo,
    random: Callable[[int], bytes] = secrets.token_bytes,
    seal: SealTo = seal_to,
) -> tuple[bytes, HeaderInfo]:
    """Seal ``ring`` to the slots and devices of ``info`` as the following generation.

    With ``ring.rotated()`` this is a rotation; ``info`` must have come from open_header.
    """
    following = replace(info, generation=info.generation + 1)
    return _encode(ring, following, random, seal), following


def with_passphrase(
    ring: KeyRing,
    info: HeaderInfo,
    passphrase: Passphrase,
    params: KdfParams | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> HeaderInfo:
    """Return ``info`` with one passphrase slot, a new one, in the place of all passphrase slots."""
    slot = new_slot(ring, passphrase, params or KdfParams(), random)
    others = tuple(s for s in info.slots if s.kind is not SlotKind.PASSPHRASE)
    return replace(info, slots=(slot, *others))


def with_words(
    ring: KeyRing,
    info: HeaderInfo,
    entropy: bytes,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> HeaderInfo:
    """Return ``info`` with new recovery words in the place of the old ones."""
    slot = new_slot(ring, Words(to_words(entropy)), KdfParams(), random)
    others = tuple(s for s in info.slots if s.kind is not SlotKind.WORDS)
    return replace(info, slots=(*others, slot))


def with_device(info: HeaderInfo, device: DeviceKeys | Certificate) -> HeaderInfo:
    """Return ``info`` with one more device that the ring is sealed to."""
    ident = device.device if isinstance(device, Certificate) else device.id
    others = tuple(d for d in info.devices if d.device != ident)
    return replace(info, devices=(*others, DeviceSlot(ident, device.exchange_public)))


def without_devices(info: HeaderInfo, gone: Iterable[DeviceId]) -> HeaderInfo:
    """Return ``info`` without some devices; only a rotation takes what they know from them."""
    left = frozenset(gone)
    return replace(info, devices=tuple(d for d in info.devices if d.device not in left))


def open_header(
    data: bytes, secret: Secret, generation: int | None = None
) -> tuple[KeyRing, HeaderInfo]:
    """Open a header with one secret.

    ``generation`` is the one that its remote name says. Raises NotAVault or NewerVault for what
    is no header of this format, WrongSecret when the secret opens no slot, Integrity naming the
    header when it opens one and anything else does not verify.
    """
    parsed = _parse(data, generation)
    try:
        if isinstance(secret, DevicePrivate):
            ring = _open_by_device(parsed, secret)
        else:
            ring = _open_by_slot(parsed, secret)
        newest = ring.newest.number
        if newest != parsed.epoch:
            raise Integrity("its key ring is not that of its epoch.")
        _check_mac(parsed, newest, ring.header_key(newest))
    except Integrity as e:
        raise Integrity(
            f"The vault header ({parsed.name}) does not verify: {e} Restore it from a copy."
        ) from None
    return ring, parsed.info


def peek(data: bytes) -> HeaderInfo:
    """Return what a header claims, unverified: enough to name a vault before it is opened."""
    return _parse(data, None).info


def _encode(ring: KeyRing, info: HeaderInfo, random: Callable[[int], bytes], seal: SealTo) -> bytes:
    if not info.complete:
        raise NewerVault("A newer tagfs wrote the vault's header; update tagfs to change it.")
    if len(info.slots) > MAX_SLOTS or len(info.devices) > MAX_HEADS:
        raise ValueError("too many slots or devices")
    ring_key = random(32)

    def to(public: bytes) -> bytes:
        return seal(public, ring_key, _ring_key_info(info, public))

    plain = cbor.encode(
        {
            1: ring.vault,
            2: ring.content_key,
            3: [[e.number, e.secret, e.signing_seed] for e in ring.epochs],
        }
    )
    body = cbor.encode(
        {
            1: info.vault,
            2: info.generation,
            3: ring.newest.number,
            4: [_encode_slot(s, to(s.public)) for s in info.slots],
            5: [{1: d.device, 2: d.public, 3: to(d.public)} for d in info.devices],
            6: _ring_aead(info, ring_key).encrypt(bytes(12), plain, _ring_bound(info)),
            7: [],
        }
    )
    signed = _FIXED.pack(MAGIC, FORMAT, len(body)) + body
    return signed + b"".join(_mac(ring.header_key(e.number), signed) for e in ring.epochs)


def _encode_slot(slot: Slot, ring_key: bytes) -> dict[int, object]:
    costs = slot.params
    fields: dict[int, object] = {1: int(slot.kind), 2: slot.public, 3: slot.salt}
    if costs is not None:
        fields[4] = [costs.memory_kib, costs.time, costs.lanes]
    return fields | {5: slot.wrapped, 6: ring_key}


def _parse(data: bytes, generation: int | None) -> _Parsed:
    name = "h/?" if generation is None else header_path(generation)
    not_ours = f"The header ({name}) is not that of a tagfs vault."
    if len(data) < _FIXED.size + _MAC or not data.startswith(MAGIC):
        raise NotAVault(not_ours)
    _, version, length = _FIXED.unpack_from(data)
    if version < FORMAT:
        raise NotAVault(not_ours)
    if version > FORMAT:
        raise NewerVault(
            f"The vault header ({name}) has format {version}, this tagfs reads format {FORMAT}: "
            "update tagfs."
        )
    end = _FIXED.size + length
    if len(data) > MAX_HEADER or len(data) <= end or (len(data) - end) % _MAC:
        raise Integrity(f"The vault header ({name}) has a wrong length. Restore it from a copy.")
    try:
        fields = cbor.Fields(cbor.decode(data[_FIXED.size : end]))
        if 7 in fields and fields.items(7, 64):
            raise NewerVault(
                f"The vault header ({name}) needs features that this tagfs lacks: update it."
            )
        slots: list[Slot] = []
        ring_keys: list[bytes] = []
        complete = not fields.unknown(7)
        for raw in fields.maps(4, MAX_SLOTS):
            slot = _decode_slot(raw)
            complete = complete and slot is not None and not raw.unknown(6)
            if slot is not None:
                slots.append(slot)
                ring_keys.append(raw.bytes(6, 32 + OVERHEAD))
        devices = []
        for raw in fields.maps(5, MAX_HEADS):
            complete = complete and not raw.unknown(3)
            devices.append(DeviceSlot(DeviceId(raw.bytes(1, 16)), raw.bytes(2, 32)))
            ring_keys.append(raw.bytes(3, 32 + OVERHEAD))
        info = HeaderInfo(
            fields.bytes(1, 16),
            fields.number(2, MAX_GENERATION + 1, 1),
            tuple(slots),
            tuple(devices),
            complete,
        )
        parsed = _Parsed(
            info,
            fields.number(3, MAX_EPOCHS + 1, 1),
            tuple(ring_keys),
            fields.bytes(6, most=MAX_HEADER),
            data[:end],
            data[end:],
            header_path(info.generation) if generation is None else name,
        )
    except cbor.Malformed as e:
        raise Integrity(f"The vault header ({name}) is malformed: {e}.") from None
    if len(parsed.macs) != parsed.epoch * _MAC:
        raise Integrity(f"The vault header ({name}) has a wrong length. Restore it from a copy.")
    if generation is not None and info.generation != generation:
        raise Integrity(f"The vault header ({name}) says that it is another generation.")
    return parsed


def _decode_slot(raw: cbor.Fields) -> Slot | None:
    """Return a slot, None for a kind that a later version brought."""
    kind = raw.number(1, 2**16)
    if kind not in SlotKind._value2member_map_:
        return None
    params = None
    if kind == SlotKind.PASSPHRASE:
        memory, time, lanes = (cbor.check_number(n, 2**32) for n in _three(raw.items(4, 3)))
        params = KdfParams(memory, time, lanes)
    return Slot(SlotKind(kind), raw.bytes(2, 32), raw.bytes(3, 16), params, raw.bytes(5, WRAPPED))


def _three(items: list[object]) -> list[object]:
    if len(items) != 3:
        raise cbor.Malformed("Argon2id costs are three numbers")
    return items


def _open_by_slot(parsed: _Parsed, secret: Passphrase | Words) -> KeyRing:
    """Return the ring that a slot's secret opens; raises WrongSecret or Integrity."""
    info = parsed.info
    sealed_keys = parsed.ring_keys[: len(info.slots)]
    for slot, sealed in zip(info.slots, sealed_keys, strict=True):
        if not opens(slot.kind, secret):
            continue
        try:
            unwrapped = unwrap(info.vault, slot, secret)
        except WrongSecret:
            continue
        _check_mac(parsed, unwrapped.epoch, unwrapped.header_key)
        ring_key = open_with(unwrapped.private, sealed, _ring_key_info(info, slot.public))
        ring = _open_ring(parsed, ring_key)
        if not hmac.compare_digest(ring.header_key(unwrapped.epoch), unwrapped.header_key):
            raise Integrity("its key ring is not the one that the slot was made for.")
        return ring
    what = "passphrase does" if isinstance(secret, Passphrase) else "recovery words do"
    raise WrongSecret(f"The {what} not open this vault.")


def _open_by_device(parsed: _Parsed, secret: DevicePrivate) -> KeyRing:
    """Return the ring that is sealed to a device; raises WrongSecret or Integrity."""
    info, known = parsed.info, secret.known
    sealed_keys = parsed.ring_keys[len(info.slots) :]
    for device, sealed in zip(info.devices, sealed_keys, strict=True):
        if device.device == secret.device:
            _check_mac(parsed, known.newest.number, known.header_key(known.newest.number))
            info_bytes = _ring_key_info(info, device.public)
            ring = _open_ring(parsed, open_with(secret.private, sealed, info_bytes))
            if not ring.continues(known):
                raise Integrity("its key ring does not continue the one that was known.")
            return ring
    raise WrongSecret("The vault is no longer sealed to this device; use the passphrase.")


def _check_mac(parsed: _Parsed, epoch: int, key: bytes) -> None:
    """Raise Integrity unless the header carries a right MAC for this epoch."""
    stored = parsed.macs[(epoch - 1) * _MAC : epoch * _MAC]
    if epoch < 1 or not hmac.compare_digest(_mac(key, parsed.signed), stored):
        raise Integrity(f"it is not authenticated by epoch {epoch} of its key ring.")


def _open_ring(parsed: _Parsed, ring_key: bytes) -> KeyRing:
    aead = _ring_aead(parsed.info, ring_key)
    try:
        plain = aead.decrypt(bytes(12), parsed.ring, _ring_bound(parsed.info))
        fields = cbor.Fields(cbor.decode(plain))
        epochs = []
        for raw in fields.items(3, MAX_EPOCHS):
            number, secret, seed = _three(cbor.check_items(raw, 3))
            epochs.append(
                Epoch(
                    cbor.check_number(number, 2**32),
                    cbor.check_bytes(secret, 32),
                    cbor.check_bytes(seed, 32),
                )
            )
        ring = KeyRing(fields.bytes(1, 16), tuple(epochs), fields.bytes(2, 32))
    except (InvalidTag, cbor.Malformed):
        raise Integrity("its key ring is damaged.") from None
    if ring.vault != parsed.info.vault:
        raise Integrity("its key ring is that of another vault.")
    return ring


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _ring_aead(info: HeaderInfo, ring_key: bytes) -> AESGCM:
    # The ring key is drawn for one generation and seals once, so the nonce may be fixed.
    return AESGCM(derive(ring_key, "ring", _ring_bound(info)))


def _ring_bound(info: HeaderInfo) -> bytes:
    return info.vault + struct.pack(">I", info.generation)


def _ring_key_info(info: HeaderInfo, public: bytes) -> bytes:
    return b"tagfs/1 ring key\0" + _ring_bound(info) + public
