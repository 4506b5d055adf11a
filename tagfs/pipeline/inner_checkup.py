"""What `tagfs doctor` looks at in an unlocked gallery: journal, catalog, clock, uploads."""

from __future__ import annotations

import trio

from tagfs.catalog.sanity import contradictions
from tagfs.errors import Integrity, RemoteError
from tagfs.pipeline.checkup import clock
from tagfs.pipeline.finding import Finding, Verdict
from tagfs.pipeline.gallery import Gallery

SAMPLE = 2000
"""Photos whose rows are looked at."""
AT_ONCE = 64
"""Rows between two turns of everything else."""


async def look_inside(gallery: Gallery) -> list[Finding]:
    """Check an open gallery; changes nothing."""
    return [*_journal(gallery), *await _catalog(gallery), *_clock(gallery), *_uploads(gallery)]


def _journal(gallery: Gallery) -> list[Finding]:
    damage = [str(problem) for problem in gallery.ledger.journal.damage]
    if damage:
        return [
            Finding("journal", Verdict.WRONG, problem, "", Integrity.exit_code)
            for problem in damage
        ]
    return [Finding("journal", Verdict.OK, "The local journal is entire.")]


async def _catalog(gallery: Gallery) -> list[Finding]:
    problems: list[str] = []
    looked = 0
    try:
        for problem in contradictions(gallery.state, SAMPLE):
            looked += 1
            if problem is not None:
                problems.append(problem)
            if looked % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
    except Integrity as error:
        problems.append(str(error).rstrip("."))
    if not problems:
        return [Finding("catalog", Verdict.OK, f"{looked} entries of the catalog fit together.")]
    return [
        Finding(
            "catalog",
            Verdict.WRONG,
            f"The catalog contradicts itself: {problems[0]}"
            + (f", and {len(problems) - 1} more." if len(problems) > 1 else "."),
            "Unmount, remove the folder catalog/ of the state directory and mount again: it is "
            "built anew.",
            Integrity.exit_code,
        )
    ]


def _clock(gallery: Gallery) -> list[Finding]:
    # The upper 48 bits of a stamp are milliseconds since 1970.
    newest = (gallery.ledger.local.clock() >> 16) / 1000
    return clock("the newest act in the journal", newest, gallery.ledger.now_ms() / 1000, False)


def _uploads(gallery: Gallery) -> list[Finding]:
    progress = gallery.uploader.progress()
    if progress.failure:
        return [
            Finding(
                "uploads",
                Verdict.WRONG,
                f"{progress.contents} contents wait to be stored: {progress.failure}",
                "",
                RemoteError.exit_code,
            )
        ]
    if progress.contents or progress.behind:
        return [
            Finding(
                "uploads",
                Verdict.NOTE,
                f"{progress.contents} contents, and acts of yours, are only on this machine yet.",
                "Leave it mounted, or run `tagfs wait`, until they are stored.",
            )
        ]
    return [Finding("uploads", Verdict.OK, "Everything is stored.")]
