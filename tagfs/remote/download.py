"""Public files by URL: what a broken attempt fetched is where the next one goes on.

What was fetched proves nothing: who calls holds it against a hash.
"""

from __future__ import annotations

import os
from pathlib import Path

import requests

from tagfs.errors import Refused, Unreachable

SECONDS = 30.0
"""Without a byte, until an attempt is given up."""
STEP = 256 * 1024


def download(url: str, into: Path, largest: int) -> None:
    """Fetch ``url`` into a file, from where the file ends on where the server can do that.

    Raises:
        Unreachable: the server cannot be reached, or stopped in the middle; what came is kept.
        Refused: it answers with an error, or with more than ``largest`` bytes.
        OSError: the disk takes no more.
    """
    with into.open("ab") as file:
        have = file.tell()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with requests.get(url, headers=headers, timeout=SECONDS, stream=True) as answer:
                if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
                    return  # all of it is there
                if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
                    raise Refused(f"{url} answers {answer.status_code}; try again later.")
                if answer.status_code == requests.codes.ok:
                    file.truncate(0)
                    have = 0
                missing = int(answer.headers.get("Content-Length", 0))
                for piece in answer.iter_content(STEP):
                    have += len(piece)
                    missing -= len(piece)
                    if have > largest:
                        file.truncate(0)
                        raise Refused(f"{url} has more than the {largest} bytes expected of it.")
                    file.write(piece)
        except requests.RequestException as error:
            raise _gone(url) from error
        if missing > 0:
            raise _gone(url)
        file.flush()
        os.fsync(file.fileno())


def _gone(url: str) -> Unreachable:
    return Unreachable(f"{url} cannot be fetched now; check the network and run the same again.")
