"""The test server as a process of its own, with one account, told what to do by lines of JSON.

Its first line says where it is: ``port`` of the proxy, ``authorities``, ``app_key``,
``refresh_token``. Then each line on standard input is answered by one. It ends with its input.

    {"do": "fault", "route": "files/", "harm": "DROP_AFTER", "times": 3}
    {"do": "expire"} {"do": "revoke"} {"do": "pass", "seconds": 3600}
    {"do": "capacity", "bytes": 1000} {"do": "stale", "changes": 2} {"do": "requests"}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from dropbox_server.account import Account
from dropbox_server.faults import Fault, Harm
from dropbox_server.server import Server


def obey(account: Account, server: Server, asked: dict[str, Any]) -> object:
    """Carry out one line; return its answer."""
    what = asked.pop("do")
    with account.lock:
        if what == "fault":
            body = asked.pop("body", "")
            harm = Harm[asked.pop("harm")]
            told = body.encode() if isinstance(body, str) else body
            account.faults.append(Fault(harm=harm, body=told, **asked))
        elif what == "expire":
            account.expire()
        elif what == "revoke":
            account.revoke()
        elif what == "pass":
            account.now += asked["seconds"]
        elif what == "capacity":
            account.capacity = asked["bytes"]
        elif what == "stale":
            account.stale = asked["changes"]
        elif what == "requests":
            seen, account.requests = account.requests, []
            return {"requests": seen, "faults": len(account.faults), "broken": server.broken}
        else:
            raise ValueError(what)
    return True


def main() -> None:
    """Serve until the input ends."""
    server = Server()
    account = server.account()
    try:
        place = {
            "port": server.port,
            "authorities": str(server.authorities),
            "app_key": account.app_key,
            "refresh_token": account.refresh_token,
        }
        print(json.dumps(place), flush=True)
        for line in sys.stdin:
            try:
                answer: object = {"ok": obey(account, server, json.loads(line))}
            except (ValueError, KeyError, TypeError) as error:
                answer = {"error": repr(error)}
            print(json.dumps(answer), flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
