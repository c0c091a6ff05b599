"""A certificate authority of one's own, named by ``SSL_CERT_FILE``.

Python's own HTTP client, the hub's and that of models take the variable into account themselves.
Two kinds do not: HTTP clients that ignore the environment, so that no proxy is asked, and programs
that Node runs.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

VARIABLE = "SSL_CERT_FILE"
_OF_NODE = "NODE_EXTRA_CA_CERTS"


def find_trusted() -> ssl.SSLContext | bool:
    """For ``verify`` of an HTTP client: the authorities of the file, else the client's own."""
    path = os.environ.get(VARIABLE)
    return ssl.create_default_context(cafile=path) if path else True


def tell_node() -> Mapping[str, str]:
    """The variable under Node's name, for the environment of a program that it runs."""
    path = os.environ.get(VARIABLE)
    return {_OF_NODE: path} if path and _OF_NODE not in os.environ else {}
