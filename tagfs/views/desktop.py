"""Names that desktops use everywhere: what they leave behind, what they look for in vain, and
what keeps their indexers out."""

from __future__ import annotations

MARKERS = frozenset({b".nomedia", b".trackerignore"})
"""Empty files that tell indexers to stay out; they stand, unlisted, in the root and every view."""

_JUNK = frozenset(
    {b".ds_store", b".localized", b".apdisk", b"thumbs.db", b"ehthumbs.db", b"desktop.ini"}
    | {b".directory", b".hidden"}
)
_JUNK_BEGINS = (b"._", b".directory.", b".hidden.")
"""Resource forks; KDE and GLib write ``.directory.AbCdEf`` first and rename it."""

_PROBED = frozenset(
    {b"autorun.inf", b"autorun.sh", b"autorun", b"desktop.ini", b"Desktop.ini", b"Thumbs.db"}
    | {b"folder.jpg", b"Folder.jpg", b"cover.jpg", b"lost+found", b"CVS", b"_darcs"}
    | {b"VIDEO_TS", b"video_ts", b"AUDIO_TS", b"BDMV", b"HVDVD_TS", b"SVCD", b"MPEGAV"}
)
"""Names without a leading dot that file managers look for in a folder or on a new disk."""


def is_junk(name: bytes) -> bool:
    """Whether file managers and office programs leave files of this name wherever they look."""
    return (
        name.lower() in _JUNK
        or name.startswith(_JUNK_BEGINS)
        or (name.startswith(b".~lock.") and name.endswith(b"#"))
    )


def is_probed(name: bytes) -> bool:
    """Whether desktops look for this name so often that its absence is worth remembering."""
    return name[:1] == b"." or name in _PROBED
