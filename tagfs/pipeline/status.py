"""Where a gallery stands, as ``tagfs status`` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tagfs.pipeline.rescanning import Job
from tagfs.pipeline.uploading import Progress


@dataclass(frozen=True, slots=True)
class Status:
    """Where a gallery stands; the counts of ``tagfs status``."""

    photos: int
    sealed: int  # waiting to be looked at
    recognised: int  # looked at, waiting for their turn to be uploaded
    upload: Progress
    unreadable: int
    remote: str
    remote_state: str  # "ok" or what keeps it from being so
    recogniser: str  # pack, or why there is none
    recognition: str  # "works", or why it rests
    rescan: Job | None  # under way
    cache: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs status --json``."""
        return {
            "photos": self.photos,
            "queue": {
                "sealed": self.sealed,
                "recognised": self.recognised,
                "uploading": self.upload.contents,
            },
            "upload": self.upload.as_json(),
            "unreadable": self.unreadable,
            "stored": not self.upload.behind and not self.upload.contents,
            "remote": {"state": self.remote_state, "where": self.remote},
            "recogniser": self.recogniser,
            "recognition": self.recognition,
            "cache": self.cache,
            "rescan": None if self.rescan is None else self.rescan.as_json(),
        }
