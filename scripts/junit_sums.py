"""Print the numbers of passed, failed and skipped tests of a JUnit report: junit_sums.py REPORT."""

from __future__ import annotations

import sys
from xml.etree import ElementTree


def main() -> int:
    """Print the three numbers in one line."""
    passed = failed = skipped = 0
    for suite in ElementTree.parse(sys.argv[1]).iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        left_out = int(suite.get("skipped", 0))
        failed += bad
        skipped += left_out
        passed += max(0, int(suite.get("tests", 0)) - bad - left_out)
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
