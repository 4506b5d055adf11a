"""What the Dropbox SDK raises, in the words of the store protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from dropbox import exceptions, stone_validators

from tagfs.errors import (
    BadName,
    Exists,
    Full,
    Limited,
    NotFound,
    Refused,
    RemoteError,
    Revoked,
    TagfsError,
    Unreachable,
)
from tagfs.remote.dropbox_session import Abandoned

LOGIN_AGAIN = "Run `tagfs remote login dropbox`."

_FULL = {
    "insufficient_space",
    "team_folder_insufficient_space",
    "member_folder_insufficient_space",
}
_LIMITED = {"too_many_write_operations", "upload_traffic_limit_reached"}
# A session that is gone, or bytes that changed on their way: the next try begins anew.
_AGAIN = {
    "lookup_failed",
    "incorrect_offset",
    "not_closed",
    "closed",
    "content_hash_mismatch",
}


class UploadLost(Unreachable):
    """Dropbox has the bytes of an upload no more, or others: the next try sends them again."""


def tags(union: Any) -> tuple[str, ...]:
    """Return the tags of a union of the SDK from the outermost inwards: ("path", "not_found")."""
    found: list[str] = []
    while hasattr(union, "_tag"):
        found.append(str(union._tag))
        union = getattr(union, "_value", None)
        if not hasattr(union, "_tag"):
            union = getattr(union, "reason", None)
    return tuple(found)


def meaning(union: Any, what: str) -> RemoteError:
    """Return the error that a union of the SDK stands for; ``what`` names the object."""
    trail = tags(union)
    inner = set(trail)
    said = "/".join(trail)
    if inner & _AGAIN:
        return UploadLost(f"The upload of {what} has to be begun again ({said}).")
    if "locked" in inner:
        return Unreachable(f"Somebody has locked {what} in Dropbox for a while.")
    if inner & _LIMITED:
        return Limited(f"Dropbox asks for fewer writes at a time ({said}).")
    if inner & _FULL:
        return Full(f"Dropbox has no space left for {what}. Free some there.")
    if "conflict" in inner:
        if trail[-1] == "file":
            return Exists(f"There is an {what} already.")
        return Refused(f"Dropbox refuses {what}: a folder and a file of one name ({said}).")
    if inner & {"not_found", "not_file", "not_folder"}:
        return NotFound(f"There is no {what}.")
    if inner & {"malformed_path", "disallowed_name"}:
        return BadName(f"Dropbox does not keep {what} under its name ({said}).")
    if trail == ("other",):
        # A union that is newer than this SDK: an answer all the same.
        return Refused(f"Dropbox refuses {what} and does not say why.")
    return Refused(f"Dropbox refuses {what} ({said}).")


@contextmanager
def translated(what: str, renews: Callable[[], bool]) -> Iterator[None]:
    """Turn what the SDK raises into the errors that a store raises; ``what`` names the object.

    ``renews`` says that the SDK can fetch a new token when one expires.
    """
    try:
        yield
    except (TagfsError, Abandoned):
        raise
    except exceptions.AuthError as error:
        raise _login(error, renews()) from None  # its text would carry the body of the answer
    except exceptions.RateLimitError as error:
        raise Limited("Dropbox asks for fewer requests.", error.backoff) from error
    except exceptions.InternalServerError as error:
        raise Unreachable(f"Dropbox has trouble of its own (HTTP {error.status_code}).") from error
    except exceptions.ApiError as error:
        raise meaning(error.error, what) from error
    except exceptions.HttpError as error:
        raise Refused(f"Dropbox refuses {what} (HTTP {error.status_code}).") from error
    except requests.RequestException as error:
        raise Unreachable(f"Cannot reach Dropbox ({type(error).__name__}).") from error
    except (AssertionError, ValueError, KeyError, stone_validators.ValidationError) as error:
        # What the SDK raises for an answer that it cannot take apart.
        raise Unreachable("The answer of Dropbox was not understood. tagfs tries again.") from error


def _login(error: exceptions.AuthError, renews: bool) -> RemoteError:
    trail = tags(error.error)
    said = trail[0] if trail else "other"
    if said in ("missing_scope", "route_access_denied"):
        return Refused(f"The login for Dropbox does not allow this ({said}). {LOGIN_AGAIN}")
    if said == "expired_access_token" and renews:
        return Unreachable("The login for Dropbox ran out on the way. tagfs tries again.")
    if said == "user_suspended":
        return Refused("Dropbox has suspended this account.")
    return Revoked(f"Dropbox no longer accepts the login ({said}). {LOGIN_AGAIN}")
