"""What tests of the command line share: a quick vault's passphrase, and what a command did."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfs.crypto.kdf import KdfParams

sys.path.insert(0, str(Path(__file__).parent.parent / "mount"))

PASSPHRASE = "six random words open this vault"
QUICK = KdfParams(64 * 1024, 3, 1)


@dataclass(frozen=True)
class Result:
    """What a command did: exit status, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)
