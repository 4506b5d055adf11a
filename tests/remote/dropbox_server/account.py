"""One Dropbox account: files, folders, upload sessions, cursors, tokens and its quota."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dropbox_server.faults import Fault

Json = dict[str, Any]


class ApiError(Exception):
    """An answer of 409: the union that the route's error type decodes."""

    def __init__(self, union: Json) -> None:
        super().__init__(union)
        self.union = union


def tag(*trail: str, **fields: Any) -> Json:
    """Return a union by its tags from the outermost inwards."""
    first, *rest = trail
    if not rest:
        return {".tag": first, **fields}
    return {".tag": first, first: tag(*rest, **fields)}


@dataclass(slots=True)
class Node:
    """A file, or a folder where ``data`` is None. ``path`` is as it was written."""

    path: str
    data: bytes | None
    id: str
    rev: str
    modified: float
    hash: str  # empty: Dropbox says none, which its description allows

    def json(self, with_tag: bool = True) -> Json:
        """Return it as ``FileMetadata`` or ``FolderMetadata``."""
        told: Json = {
            "name": self.path.rpartition("/")[2],
            "path_lower": self.path.lower(),
            "path_display": self.path,
            "id": self.id,
        }
        if with_tag:
            told[".tag"] = "folder" if self.data is None else "file"
        if self.data is not None:
            at = datetime.fromtimestamp(self.modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            told |= {
                "client_modified": at,
                "server_modified": at,
                "rev": self.rev,
                "size": len(self.data),
                "is_downloadable": True,
            }
            if self.hash:
                told["content_hash"] = self.hash
        return told


@dataclass(slots=True)
class Upload:
    """An upload session."""

    data: bytearray
    closed: bool = False


@dataclass(slots=True)
class Listing:
    """What ``list_folder`` saw at its beginning."""

    folder: str
    limit: int
    recursive: bool
    there: list[Json]


class Account:
    """State behind the routes; `lock` is held by whoever looks into it."""

    def __init__(self, capacity: int = 1 << 31) -> None:
        self.lock = threading.RLock()
        self.capacity = capacity
        self.nodes: dict[str, Node] = {}  # by lower-case path
        self.paths: dict[str, str] = {}  # lower-case paths by id
        self.uploads: dict[str, Upload] = {}
        self.listings: dict[str, Listing] = {}
        self.changes: list[Json] = []
        self.jobs: dict[str, list[Json]] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        """The route of every request that arrived, in their order."""
        self.commits: list[Json] = []
        """The commit of every entry of a batch, as it was sent."""
        self.batches: list[int] = []
        self.stale = 0
        """Listings do not know yet of so many changes, the latest."""
        self.now = 1_700_000_000.0
        self.lifetime = 4 * 3600.0  # of an access token, seconds
        self.refresh_token = secrets.token_urlsafe(24)
        self.app_key = "testkey"
        self.codes: dict[str, str] = {}
        """Challenges (PKCE, S256) by the code that the user was shown for them."""
        self.access: dict[str, float] = {}  # token to its end
        self.refreshed = 0
        self.revoked = False
        self.delete_later = False
        """delete_batch answers with a job."""
        self.failing: tuple[int, Json] | None = None
        """In the next batch every entry whose number the first divides fails with the second."""
        self.writing = 0
        self.write_takes = 0.0  # seconds
        self.most_writing = 0
        self._numbers = itertools.count(1)
        self._wake = threading.Condition(self.lock)

    # Tokens

    def token(self) -> str:
        """Return a new access token."""
        token = "sl." + secrets.token_urlsafe(24)
        self.access[token] = self.now + self.lifetime
        return token

    def approve(self, url: str) -> str:
        """Do what the user does in a browser: allow the app of an authorization page."""
        parts = urlsplit(url)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        assert (parts.scheme, parts.netloc) == ("https", "www.dropbox.com")
        assert parts.path == "/oauth2/authorize"
        assert asked["client_id"] == self.app_key
        assert (asked["response_type"], asked["token_access_type"]) == ("code", "offline")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(24)
        self.codes[code] = asked["code_challenge"]
        return code

    def exchange(self, code: str, verifier: str) -> Json | None:
        """Give the tokens for a code, once, to whoever knows what its challenge was made from."""
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if self.codes.pop(code, None) != challenge:
            return None
        self.revoked = False
        self.refresh_token = secrets.token_urlsafe(24)
        return {
            "access_token": self.token(),
            "expires_in": int(self.lifetime),
            "refresh_token": self.refresh_token,
            "token_type": "bearer",
            "scope": "files.content.read",
            "uid": "1",
            "account_id": "dbid:1",
        }

    def expire(self) -> None:
        """Let time pass until no access token is good any more."""
        with self.lock:
            self.now += self.lifetime + 1

    def revoke(self) -> None:
        """Let the user withdraw the app's permission."""
        with self.lock:
            self.revoked = True

    def allows(self, token: str) -> Json | None:
        """Return what is wrong with an access token, an ``AuthError``, None for nothing."""
        if self.revoked or token not in self.access:
            return tag("invalid_access_token")
        if self.access[token] < self.now:
            return tag("expired_access_token")
        return None

    # Files

    def objects(self, folder: str = "") -> dict[str, bytes]:
        """Return all files below a folder by their path."""
        with self.lock:
            return {
                path[len(folder) + 1 :]: node.data
                for path, node in self.nodes.items()
                if node.data is not None and path.startswith(folder + "/")
            }

    def used(self) -> int:
        """Return the bytes of all files."""
        return sum(len(node.data) for node in self.nodes.values() if node.data is not None)

    def find(self, path: str) -> Node:
        """Return the node of a path in whatever case, or of an id; a LookupError in ``path``."""
        key = self.paths.get(path) if path.startswith("id:") else path.lower()
        node = self.nodes.get(key or "")
        if node is None:
            raise ApiError(tag("path", "not_found"))
        return node

    def write(self, path: str, data: bytes, strict: bool) -> Node:
        """Write a new file and the folders above it; raises a WriteError in ``path``."""
        with self.lock:
            return self._write(path, data, strict)

    def _write(self, path: str, data: bytes, strict: bool) -> Node:
        key = path.lower()
        old = self.nodes.get(key)
        if old is not None:
            if old.data is None:
                raise ApiError(tag("path", "conflict", "folder"))
            if strict or old.data != data:
                raise ApiError(tag("path", "conflict", "file"))
            return old
        parts = path.split("/")[1:-1]
        above = ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
        for folder in above:
            there = self.nodes.get(folder.lower())
            if there is not None and there.data is not None:
                raise ApiError(tag("path", "conflict", "file_ancestor"))
        if self.used() + len(data) > self.capacity:
            raise ApiError(tag("path", "insufficient_space"))
        for folder in above:
            if folder.lower() not in self.nodes:
                self._add(folder, None)
        return self._add(path, data)

    def create_folder(self, path: str) -> Node:
        """Make a folder whose folder is there; raises a WriteError in ``path``."""
        there = self.nodes.get(path.lower())
        if there is not None:
            raise ApiError(tag("path", "conflict", "folder" if there.data is None else "file"))
        return self._add(path, None)

    def remove(self, path: str, rev: str | None) -> Node:
        """Remove a file, or a folder with all it holds; raises a DeleteError."""
        with self.lock:
            return self._remove(path, rev)

    def _remove(self, path: str, rev: str | None) -> Node:
        node = self.nodes.get(path.lower())
        if node is None:
            raise ApiError(tag("path_lookup", "not_found"))
        if rev is not None:
            if node.data is None:
                raise ApiError(tag("path_lookup", "not_file"))
            if rev != node.rev:
                raise ApiError(tag("path_write", "conflict", "file"))
        for key in [k for k in self.nodes if k == path.lower() or k.startswith(path.lower() + "/")]:
            gone = self.nodes.pop(key)
            del self.paths[gone.id]
            told = gone.json()
            self._changed(
                {".tag": "deleted", **{k: told[k] for k in ("name", "path_lower", "path_display")}},
                told,
            )
        return node

    # Cursors

    def listing(self, path: str, limit: int, recursive: bool = True) -> Json:
        """Begin a listing of a folder, with all that is below it or what is in it alone."""
        folder = path.lower()
        if folder and self.find(folder).data is not None:
            raise ApiError(tag("path", "not_folder"))
        there = {k: n.json() for k, n in self.nodes.items() if _lists(folder, k, recursive)}
        for change in reversed(self.changes[-self.stale :] if self.stale else []):
            if _lists(folder, change["path_lower"], recursive):
                if change[".tag"] == "deleted":
                    there[change["path_lower"]] = change["was"]
                else:
                    there.pop(change["path_lower"], None)
        # In an order that is nobody's.
        entries = [there[k] for k in sorted(there, key=lambda k: hashlib.md5(k.encode()).digest())]
        name = secrets.token_hex(4)
        self.listings[name] = Listing(folder, limit, recursive, entries)
        return self.page(f"{name}.0.{len(self.changes)}")

    def page(self, cursor: str) -> Json:
        """Return what follows a cursor: first the rest of the listing, then what has changed."""
        name, at, seen = cursor.split(".")
        listing = self.listings.get(name)
        if listing is None:
            raise ApiError(tag("reset"))
        start, since = int(at), int(seen)
        entries = listing.there[start : start + listing.limit]
        start += len(entries)
        if not entries:
            below = [
                {k: v for k, v in change.items() if k != "was"}
                for change in self.changes[since : since + listing.limit]
                if _lists(listing.folder, change["path_lower"], listing.recursive)
            ]
            entries, since = below, min(len(self.changes), since + listing.limit)
        return {
            "entries": entries,
            "cursor": f"{name}.{start}.{since}",
            "has_more": start < len(listing.there) or since < len(self.changes),
        }

    def wait(self, cursor: str, seconds: float) -> bool:
        """Wait until something has changed since a cursor."""
        with self.lock:
            name, _, seen = cursor.split(".")
            if name not in self.listings:
                raise ApiError(tag("reset"))
            return self._wake.wait_for(lambda: len(self.changes) > int(seen), seconds)

    def _add(self, path: str, data: bytes | None) -> Node:
        number = next(self._numbers)
        known = content_hash(data) if data is not None else ""
        node = Node(path, data, f"id:{number:022}", f"{number:015x}", self.now, known)
        self.nodes[path.lower()] = node
        self.paths[node.id] = path.lower()
        self._changed(node.json())
        return node

    def _changed(self, change: Json, was: Json | None = None) -> None:
        self.changes.append(change if was is None else {**change, "was": was})
        self._wake.notify_all()


def _lists(folder: str, path: str, recursive: bool) -> bool:
    """Return whether a listing of a folder has a path."""
    return path.startswith(folder + "/") and (recursive or "/" not in path[len(folder) + 1 :])


def content_hash(data: bytes) -> str:
    """Return the content hash of Dropbox: SHA-256 over the SHA-256s of blocks of 4 MiB."""
    block = 4 * 1024 * 1024
    digests = [hashlib.sha256(data[at : at + block]).digest() for at in range(0, len(data), block)]
    return hashlib.sha256(b"".join(digests)).hexdigest()
