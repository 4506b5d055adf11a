"""The routes of Dropbox's API: what each does to an account, and the SDK type of its answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dropbox import files, users

from dropbox_server.account import Account, ApiError, Json, Upload, content_hash, tag

Answer = Any
Do = Callable[[Account, Any, bytes], Answer]


class TooManyWrites(Exception):
    """Two writes to one account at a time: 429."""


@contextmanager
def _only_writer(account: Account) -> Iterator[None]:
    with account.lock:
        account.writing += 1
        account.most_writing = max(account.most_writing, account.writing)
        busy = account.writing > 1
    try:
        if busy:
            raise TooManyWrites
        time.sleep(account.write_takes)
        yield
    finally:
        with account.lock:
            account.writing -= 1


def _start(account: Account, arg: Any, body: bytes) -> Answer:
    _check_hash(arg, body)
    with account.lock:
        session = secrets.token_hex(8)
        account.uploads[session] = Upload(bytearray(body), arg.close)
    return {"session_id": session}


def _append(account: Account, arg: Any, body: bytes) -> Answer:
    _check_hash(arg, body)
    with account.lock:
        upload = account.uploads.get(arg.cursor.session_id)
        if upload is None:
            raise ApiError(tag("not_found"))
        if upload.closed:
            raise ApiError(tag("closed"))
        if arg.cursor.offset != len(upload.data):
            raise ApiError(tag("incorrect_offset", correct_offset=len(upload.data)))
        upload.data += body
        upload.closed = arg.close
    return None


def _check_hash(arg: Any, body: bytes) -> None:
    if arg.content_hash is not None and arg.content_hash != content_hash(body):
        raise ApiError(tag("content_hash_mismatch"))


def _upload(account: Account, arg: Any, body: bytes) -> Answer:
    if arg.content_hash is not None and arg.content_hash != content_hash(body):
        raise ApiError(tag("content_hash_mismatch"))
    with _only_writer(account), account.lock:
        try:
            return account.write(arg.path, body, arg.strict_conflict).json(with_tag=False)
        except ApiError as error:
            raise ApiError(
                {".tag": "path", "reason": error.union["path"], "upload_session_id": "s"}
            ) from None


def _finish_batch(account: Account, arg: Any, body: bytes) -> Answer:
    with _only_writer(account), account.lock:
        account.batches.append(len(arg.entries))
        every, failure = account.failing or (0, {})
        account.failing = None
        return {
            "entries": [
                {".tag": "failure", "failure": failure}
                if every and number % every == 0
                else _finish(account, entry)
                for number, entry in enumerate(arg.entries)
            ]
        }


def _finish(account: Account, entry: Any) -> Json:
    commit = entry.commit
    account.commits.append(
        {"path": commit.path, "client_modified": commit.client_modified, "mute": commit.mute}
    )
    try:
        upload = account.uploads.get(entry.cursor.session_id)
        if upload is None:
            raise ApiError(tag("lookup_failed", "not_found"))
        if not upload.closed:
            raise ApiError(tag("lookup_failed", "not_closed"))
        if entry.cursor.offset != len(upload.data):
            at = len(upload.data)
            raise ApiError(tag("lookup_failed", "incorrect_offset", correct_offset=at))
        node = account.write(commit.path, bytes(upload.data), commit.strict_conflict)
    except ApiError as error:
        return {".tag": "failure", "failure": error.union}
    del account.uploads[entry.cursor.session_id]
    return {".tag": "success", **node.json(with_tag=False)}


def _download(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        node = account.find(arg.path)
        if node.data is None:
            raise ApiError(tag("path", "not_file"))
        return node.json(with_tag=False), node.data


def _get_metadata(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        return account.find(arg.path).json()


def _list_folder(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        return account.listing(arg.path, arg.limit or 500, arg.recursive)


def _list_continue(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        return account.page(arg.cursor)


def _latest_cursor(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        page = account.listing(arg.path, 1 << 20)
        return {"cursor": page["cursor"]}


def _longpoll(account: Account, arg: Any, body: bytes) -> Answer:
    return {"changes": account.wait(arg.cursor, arg.timeout)}


def _create_folder(account: Account, arg: Any, body: bytes) -> Answer:
    with _only_writer(account), account.lock:
        return {"metadata": account.create_folder(arg.path).json(with_tag=False)}


def _delete(account: Account, arg: Any, body: bytes) -> Answer:
    with _only_writer(account), account.lock:
        return {"metadata": account.remove(arg.path, arg.parent_rev).json()}


def _delete_batch(account: Account, arg: Any, body: bytes) -> Answer:
    with _only_writer(account), account.lock:
        done: list[Json] = []
        for entry in arg.entries:
            try:
                node = account.remove(entry.path, entry.parent_rev)
                done.append({".tag": "success", "metadata": node.json()})
            except ApiError as error:
                done.append({".tag": "failure", "failure": error.union})
        if not account.delete_later:
            return tag("complete", entries=done)
        job = secrets.token_hex(8)
        account.jobs[job] = [tag("in_progress"), tag("complete", entries=done)]
        return {".tag": "async_job_id", "async_job_id": job}


def _delete_check(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        left = account.jobs.get(arg.async_job_id)
        if left is None:
            raise ApiError(tag("invalid_async_job_id"))
        return left.pop(0) if len(left) > 1 else left[0]


def _space(account: Account, arg: Any, body: bytes) -> Answer:
    with account.lock:
        return {
            "used": account.used(),
            "allocation": {".tag": "individual", "allocated": account.capacity},
        }


@dataclass(frozen=True, slots=True)
class Path:
    """One route: the SDK's own description of it, and the SDK type that its answer decodes as."""

    route: Any
    type: str
    do: Do


ROUTES = {
    "files/upload": Path(files.upload, "FileMetadata", _upload),
    "files/upload_session/start": Path(
        files.upload_session_start, "UploadSessionStartResult", _start
    ),
    "files/upload_session/append_v2": Path(files.upload_session_append_v2, "Void", _append),
    "files/upload_session/finish_batch_v2": Path(
        files.upload_session_finish_batch_v2, "UploadSessionFinishBatchResult", _finish_batch
    ),
    "files/download": Path(files.download, "FileMetadata", _download),
    "files/get_metadata": Path(files.get_metadata, "Metadata", _get_metadata),
    "files/list_folder": Path(files.list_folder, "ListFolderResult", _list_folder),
    "files/list_folder/continue": Path(
        files.list_folder_continue, "ListFolderResult", _list_continue
    ),
    "files/list_folder/get_latest_cursor": Path(
        files.list_folder_get_latest_cursor, "ListFolderGetLatestCursorResult", _latest_cursor
    ),
    "files/list_folder/longpoll": Path(
        files.list_folder_longpoll, "ListFolderLongpollResult", _longpoll
    ),
    "files/create_folder_v2": Path(files.create_folder_v2, "CreateFolderResult", _create_folder),
    "files/delete_v2": Path(files.delete_v2, "DeleteResult", _delete),
    "files/delete_batch": Path(files.delete_batch, "DeleteBatchLaunch", _delete_batch),
    "files/delete_batch/check": Path(
        files.delete_batch_check, "DeleteBatchJobStatus", _delete_check
    ),
    "users/get_space_usage": Path(users.get_space_usage, "SpaceUsage", _space),
}
