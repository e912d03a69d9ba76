"""Decides which pages may use the server, by origins (RFC 6454) and hosts in one spelling, behind a proxy too."""

import ipaddress
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from stillspeak.errors import OutputError

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """Holds where a page comes from. ``port`` is None only for schemes without ports, such as an app's ``capacitor``."""

    scheme: str
    host: str
    port: int | None


ANY = Origin("*", "*", None)


def read_origin(text: str) -> Origin | None:
    """Reads the origin that a browser names, in one spelling; returns None if the text names none, as ``null`` does."""
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    authority = _authority(rest, _PORTS.get(scheme)) if separator and scheme else None
    return None if authority is None else Origin(scheme, *authority)


def allowed_origin(text: str) -> Origin:
    """Reads an origin that a user gives as ``--allow-origin``. Raises OutputError if it is none."""
    if text.strip() == "*":
        return ANY
    origin = read_origin(text.strip().removesuffix("/"))
    if origin is None:
        raise OutputError(f"--allow-origin takes an origin such as https://talk.example.com, not {text:.80}.")
    return origin


def may_ask(headers: Headers, allowed: Collection[Origin] = ()) -> bool:
    """Returns whether the page that sends a request may use this server.

    A browser names its page in ``Origin``. Programs name none, and may use the server. A page may use it if its host and port are
    those of ``Host`` or of a proxy's ``X-Forwarded-Host``, or if its origin is allowed. Only a trusted proxy's header counts,
    because ``Proxied`` has removed the headers of all others.

    Args:
        headers: the headers of the request.
        allowed: the origins of other pages that may use the server.
    """
    said = headers.get("origin")
    if said is None or ANY in allowed:
        return True
    origin = read_origin(said)
    if origin is None or origin in allowed:
        return origin is not None
    if origin.scheme == "http" and "https" in _listed(headers, "x-forwarded-proto"):
        return False  # a page that came unencrypted may not use an encrypted server
    names = [headers.get("host", ""), *_listed(headers, "x-forwarded-host")]
    ports = [_PORTS.get(origin.scheme), *(int(p) for p in _listed(headers, "x-forwarded-port") if p.isdecimal())]
    return (origin.host, origin.port) in [_authority(name, port) for name in names for port in ports]


def _listed(headers: Headers, name: str) -> list[str]:
    """Returns the parts of a header to which several proxies may have added."""
    return [part.strip().lower() for line in headers.getlist(name) for part in line.split(",") if part.strip()]


def _authority(text: str, default: int | None) -> tuple[str, int | None] | None:
    """Returns host and port of ``host[:port]``, in lower case, with addresses in their shortest form and names as in DNS."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        if not host or parts.netloc != text or parts.username is not None:
            return None
        if text.startswith("["):
            return ipaddress.ip_address(host).compressed, port or default
        name = host.removesuffix(".").encode("idna").decode()
    except ValueError:  # UnicodeError is a ValueError too
        return None
    fits = name and all(letter.isalnum() or letter in "-._" for letter in name)
    return (name, port or default) if fits else None
