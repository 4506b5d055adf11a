"""Dropbox on the loopback, written to the public description of its HTTP API, for the real SDK.

The SDK is led here by its own settings: a proxy, which answers ``CONNECT`` itself, and a file of
certificate authorities, which holds one made for this run. So it checks real host names against
real certificates. Requests are taken apart, and replies checked, with the SDK's own validators;
`routes.ROUTES` names the type of each.
"""

from dropbox_server.account import Account
from dropbox_server.client import opened
from dropbox_server.faults import Fault, Harm
from dropbox_server.server import Server, loopback

__all__ = ["Account", "Fault", "Harm", "Server", "loopback", "opened"]
