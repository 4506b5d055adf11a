"""The HTTPS side of the test server: connections, tokens, faults, and answers in Dropbox's form."""

from __future__ import annotations

import atexit
import json
import re
import secrets
import shutil
import socket
import socketserver
import ssl
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dropbox import auth
from stone.backends.python_rsrc import stone_serializers, stone_validators

from dropbox_server.account import Account, ApiError, Json
from dropbox_server.authority import issue
from dropbox_server.faults import Fault, Harm
from dropbox_server.routes import ROUTES, TooManyWrites

JSON = {"Content-Type": "application/json"}


class Server:
    """Listens on the loopback until `stop`; every account is apart from the others."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tagfs-dropbox-"))
        self.authorities, chain = issue(self._folder)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(chain)
        self.accounts: list[Account] = []
        self.broken: list[str] = []
        """Requests and answers that the SDK's validators refuse: bugs of ours."""
        outer = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer._serve(self.request, self.client_address)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Say nothing of clients that went away."""

        self._tcp = Listener(("127.0.0.1", 0), Connection)
        self.port = self._tcp.server_address[1]
        threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def proxies(self) -> dict[str, str]:
        """Settings that lead the SDK here."""
        return {"https": f"http://127.0.0.1:{self.port}"}

    def account(self, capacity: int = 1 << 31) -> Account:
        """Return a new account."""
        account = Account(capacity)
        self.accounts.append(account)
        return account

    def stop(self) -> None:
        """Listen no longer."""
        self._tcp.shutdown()
        self._tcp.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, plain: socket.socket, address: Any) -> None:
        """Answer ``CONNECT`` as a proxy does, then be the host that was asked for."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = plain.recv(1)
            if not more or len(head) > 8192:
                return
            head += more
        if not re.match(rb"CONNECT [a-z]+\.dropbox(api)?\.com:443 ", head):
            plain.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError), self.tls.wrap_socket(plain, server_side=True) as tls:
            _Http(tls, address, self)  # type: ignore[arg-type]


@cache
def loopback() -> Server:
    """Return the server of this test run."""
    server = Server()
    atexit.register(server.stop)
    return server


class _Gone(Exception):
    """The connection is to break now."""


class _Answered(Exception):
    """The fault has answered already."""


class _Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = self._body()
        try:
            if self.path == "/oauth2/token":
                self._token(body)
            else:
                self._route(self.path.removeprefix("/2/"), body)
        except _Answered:
            pass
        except _Gone:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _token(self, body: bytes) -> None:
        asked = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        for account in self.server.accounts:
            if asked.get("code") in account.codes and asked.get("client_id") == account.app_key:
                given = account.exchange(asked["code"], asked.get("code_verifier", ""))
                if given is not None:
                    self._send(200, JSON, json.dumps(given).encode())
                    return
            if asked.get("refresh_token") != account.refresh_token:
                continue
            if asked.get("client_id") != account.app_key or account.revoked:
                break
            account.requests.append("oauth2/token")
            fault = self._meet(account, "oauth2/token")
            with account.lock:
                account.refreshed += 1
                told = {
                    "access_token": account.token(),
                    "expires_in": int(account.lifetime),
                    "token_type": "bearer",
                }
            self._send(200, JSON, json.dumps(told).encode(), fault)
            return
        self._send(
            400,
            JSON,
            b'{"error": "invalid_grant", "error_description": "refresh token is invalid"}',
        )

    def _route(self, name: str, body: bytes) -> None:
        account = self._account(name, body)
        if account is None:
            self._auth({".tag": "invalid_access_token"})
            return
        with account.lock:
            account.requests.append(name)
        fault = self._meet(account, name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        wrong = account.allows(token) if name != "files/list_folder/longpoll" else None
        if wrong is not None:
            self._auth(wrong)
            return
        path = ROUTES.get(name)
        if path is None:
            self.server.broken.append(f"no such route: {name}")
            self._send(404, {"Content-Type": "text/plain"}, b"no such route")
            return
        in_header = self.headers.get("Dropbox-API-Arg")
        try:
            arg = self._argument(path.route, in_header or body.decode())
        except (stone_validators.ValidationError, ValueError) as error:
            self.server.broken.append(f"{name}: {error}")
            text = f'Error in call to API function "{name}": {error}'
            self._send(400, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())
            return
        try:
            if fault is not None and fault.harm is Harm.RESET:
                raise ApiError({".tag": "reset"})
            if fault is not None and fault.harm is Harm.ENTRIES:
                account.failing = (int(fault.amount), fault.body)
            answer = path.do(account, arg, body)
        except TooManyWrites:
            self._limited()
            return
        except ApiError as error:
            self._check(name, path.route.error_type, error.union)
            told = {"error_summary": f"{error.union['.tag']}/..", "error": error.union}
            self._send(409, JSON, json.dumps(told).encode(), fault)
            return
        if fault is not None and fault.harm is Harm.DROP_AFTER:
            raise _Gone
        if fault is not None and fault.harm is Harm.ANSWER_AFTER:
            self._send(fault.status, fault.headers, _bytes(fault.body))
            return
        if name == "files/download":
            answer, data = answer
            self._check(name, path.route.result_type, answer)
            self._download(answer, data, fault)
            return
        self._check(name, path.route.result_type, answer)
        self._send(200, JSON, json.dumps(answer).encode(), fault)

    def _account(self, name: str, body: bytes) -> Account | None:
        if name == "files/list_folder/longpoll":
            listing = json.loads(body)["cursor"].split(".")[0]
            return next((a for a in self.server.accounts if listing in a.listings), None)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return next((a for a in self.server.accounts if token in a.access), None)

    def _meet(self, account: Account, name: str) -> Fault | None:
        """Return the fault that meets a request, after what it does before the request."""
        with account.lock:
            fault = next((f for f in account.faults if name.startswith(f.route)), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                account.faults.remove(fault)
        if fault.harm is Harm.DROP_BEFORE:
            raise _Gone
        if fault.harm is Harm.ANSWER:
            self._send(fault.status, fault.headers, _bytes(fault.body))
            raise _Answered
        if fault.harm is Harm.SLOW:
            time.sleep(fault.amount)
        return fault

    @staticmethod
    def _argument(route: Any, text: str) -> Any:
        return stone_serializers.json_decode(route.arg_type, text, strict=True)

    def _check(self, name: str, validator: Any, told: Any) -> None:
        """Hold an answer to the SDK's own type."""
        try:
            stone_serializers.json_compat_obj_decode(validator, told, strict=True)
        except stone_validators.ValidationError as error:
            self.server.broken.append(f"{name}: {error}: {told}")

    def _auth(self, wrong: Json) -> None:
        self._check("auth", auth.AuthError_validator, wrong)
        told = {"error_summary": f"{wrong['.tag']}/.", "error": wrong}
        self._send(401, JSON, json.dumps(told).encode())

    def _limited(self) -> None:
        error = {"reason": {".tag": "too_many_write_operations"}, "retry_after": 1}
        self._check("limited", auth.RateLimitError_validator, error)
        told = {"error_summary": "too_many_write_operations/.", "error": error}
        self._send(429, {**JSON, "Retry-After": "1"}, json.dumps(told).encode())

    def _download(self, metadata: Json, data: bytes, fault: Fault | None) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Dropbox-API-Result": json.dumps(metadata),
            "Accept-Ranges": "bytes",
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None or (fault is not None and fault.harm is Harm.WHOLE):
            self._send(200, headers, data, fault)
            return
        start = int(asked[1])
        end = min(len(data), int(asked[2]) + 1 if asked[2] else len(data))
        if start >= len(data):
            self._send(416, {"Content-Type": "text/plain"}, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self._send(206, headers, data[start:end], fault)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, fault: Fault | None = None
    ) -> None:
        harm = fault.harm if fault is not None else None
        amount = fault.amount if fault is not None else 0
        if harm is Harm.DROP_AFTER:
            raise _Gone
        if harm is Harm.FLIP and body:
            at = int(amount) % len(body)
            body = body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("X-Dropbox-Request-Id", secrets.token_hex(8))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if harm is Harm.CUT:
            self.wfile.write(body[: int(amount)])
            raise _Gone
        if harm is Harm.TRICKLE:
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
                time.sleep(amount)
            return
        self.wfile.write(body)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
