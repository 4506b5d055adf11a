#!/usr/bin/env python3
"""Write tests/vectors/*.json: what docs/format.md says, as bytes, made from fixed randomness.

    python scripts/make_vectors.py            # write
    python scripts/make_vectors.py --check    # say whether the files are what would be written

The same code and the same zlib give the same files. Byte strings are hex, or base64 where the
key ends in ``_b64``. Negative vectors say which kind of refusal is right:
``wrong-secret`` (exit 3), ``not-a-vault`` or ``newer-vault`` (exit 4), ``integrity`` (exit 6).
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.vectors.headers import header_file  # noqa: E402
from scripts.vectors.journal import segments_file, units_file  # noqa: E402
from scripts.vectors.keys import keys_file  # noqa: E402
from scripts.vectors.parts import parts_file  # noqa: E402
from scripts.vectors.whole import vault_file  # noqa: E402

FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "keys": keys_file,
    "header": header_file,
    "parts": parts_file,
    "units": units_file,
    "segments": segments_file,
    "vault": vault_file,
}


def make(name: str) -> str:
    """Return the text of one vector file."""
    content = {"format": 1, "zlib": zlib.ZLIB_RUNTIME_VERSION} | FILES[name]()
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    folder = ROOT / "tests" / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    different = []
    for name in FILES:
        path, text = folder / f"{name}.json", make(name)
        if not args.check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            different.append(path.name)
    if different:
        print(f"These vectors are not what would be written: {', '.join(different)}.")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
