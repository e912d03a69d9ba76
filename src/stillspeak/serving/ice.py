"""Reads the addresses of STUN and TURN servers, which help WebRTC through routers. None is asked unless the user names one."""

import re
from urllib.parse import unquote

from pydantic import BaseModel

from stillspeak.errors import OutputError

_PLACE = r"(?P<place>[A-Za-z0-9._-]+(:\d{1,5})?"
_STUN = re.compile(rf"stun:{_PLACE})")
_TURN = re.compile(rf"turns?:(?P<user>[^:@]+):(?P<password>[^@]+)@{_PLACE}(\?transport=(udp|tcp))?)")


class IceServer(BaseModel):
    """Describes a server as browsers take it in ``RTCConfiguration.iceServers``."""

    urls: str
    username: str | None = None
    credential: str | None = None


def read_ice_server(text: str) -> IceServer:
    """Reads a server as users write it: ``stun:HOST:PORT`` or ``turn:USER:PASSWORD@HOST:PORT?transport=tcp``.

    The port and the transport may be left out; ``%3A`` and ``%40`` stand for ``:`` and ``@`` in a user's name.

    Raises:
        OutputError: if the text names no such server.
    """
    if _STUN.fullmatch(text):
        return IceServer(urls=text)
    if found := _TURN.fullmatch(text):
        urls = f"{text.partition(':')[0]}:{found['place']}"
        return IceServer(urls=urls, username=unquote(found["user"]), credential=unquote(found["password"]))
    what = "stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT?transport=tcp"
    raise OutputError(f"--ice-server takes {what}, not {_without_password(text):.80}.")


def _without_password(text: str) -> str:
    return re.sub(r":[^:@]*@", ":...@", text)
