"""Which pages may ask: origins (RFC 6454) and hosts, compared in one spelling, behind a proxy too."""

import ipaddress
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from stillspeak.errors import OutputError

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """Where a page comes from. ``port`` is None only for schemes that have none, such as an app's ``capacitor``."""

    scheme: str
    host: str
    port: int | None


ANY = Origin("*", "*", None)


def read_origin(text: str) -> Origin | None:
    """The origin that a browser names, in one spelling; None if the text names none (``null`` is none either)."""
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    authority = _authority(rest, _PORTS.get(scheme)) if separator and scheme else None
    return None if authority is None else Origin(scheme, *authority)


def allowed_origin(text: str) -> Origin:
    """What a user gives as ``--allow-origin``. Raises OutputError if that is no origin."""
    if text.strip() == "*":
        return ANY
    origin = read_origin(text.strip().removesuffix("/"))
    if origin is None:
        raise OutputError(f"--allow-origin takes an origin such as https://talk.example.com, not {text:.80}.")
    return origin


def may_ask(headers: Headers, allowed: Collection[Origin] = ()) -> bool:
    """Whether the page that sends a request may use this server.

    A browser says in ``Origin`` which page asks; programs say nothing, and may. A page may ask where its host and port are
    those of ``Host`` or of a proxy's ``X-Forwarded-Host``, or where its origin is allowed. What a proxy says counts
    only if the proxy is trusted: ``Proxied`` has removed the headers of all others.

    Args:
        headers: of the request.
        allowed: origins that may ask from anywhere.
    """
    said = headers.get("origin")
    if said is None or ANY in allowed:
        return True
    origin = read_origin(said)
    if origin is None or origin in allowed:
        return origin is not None
    if origin.scheme == "http" and "https" in _listed(headers, "x-forwarded-proto"):
        return False  # a page that came unencrypted may not speak for one that did not
    names = [headers.get("host", ""), *_listed(headers, "x-forwarded-host")]
    ports = [_PORTS.get(origin.scheme), *(int(p) for p in _listed(headers, "x-forwarded-port") if p.isdecimal())]
    return (origin.host, origin.port) in [_authority(name, port) for name in names for port in ports]


def _listed(headers: Headers, name: str) -> list[str]:
    """The parts of a header that several proxies may have added to."""
    return [part.strip().lower() for line in headers.getlist(name) for part in line.split(",") if part.strip()]


def _authority(text: str, default: int | None) -> tuple[str, int | None] | None:
    """Host and port of ``host[:port]``: lower case, addresses in their shortest form, names as DNS has them."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
        if not host or parts.netloc != text or parts.username is not None:
            return None
        if text.startswith("["):
            return ipaddress.ip_address(host).compressed, port or default
        name = host.removesuffix(".").encode("idna").decode()
    except ValueError:  # UnicodeError too
        return None
    fits = name and all(letter.isalnum() or letter in "-._" for letter in name)
    return (name, port or default) if fits else None
