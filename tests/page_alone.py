"""The page without a server behind it: its files at an https address, below a path, and answers that a test gives."""

import json
import mimetypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, WebSocketRoute

import stillspeak.serving

STATIC = Path(stillspeak.serving.__file__).parent / "static"
BASE = "https://face.example/some/where/"
POLICY = "default-src 'self'; connect-src 'self' wss:; img-src 'self' data:; media-src blob:; base-uri 'none'"
FACE = {"number": 1, "left": 180, "top": 60, "right": 280, "bottom": 160}
_WATCH = """
window.violations = []; window.sent = []; window.revoked = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
const ask = window.fetch.bind(window), revoke = URL.revokeObjectURL.bind(URL);
window.fetch = (where, what = {}) => {
  const body = what.body ? Object.fromEntries([...what.body].map(([name, value]) => [name, value.name ?? value])) : {};
  window.sent.push({ where: String(where), method: what.method ?? "GET", headers: { ...what.headers }, body });
  return ask(where, what);
};
URL.revokeObjectURL = (address) => { window.revoked.push(address); revoke(address); };
"""


class Alone:
    """A page that is open.

    Attributes:
        page: in the browser.
        faces: what ``POST faces`` answers.
        answers: what requests for the video are answered, one after the other; the last one stays.
        talks: what was said on WebSockets: their address, then every text.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.faces = page, [FACE]
        self.answers: list[Callable[[Route], None]] = [refused(500, "no answer was given")]
        self.talks: list[str] = []
        self.troubles: list[str] = []
        page.add_init_script(_WATCH)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.route("**/*", self._answer)
        page.route_web_socket("**/*", self._talk)
        page.goto(BASE)

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The requests of a method that the page made."""
        return [one for one in self.page.evaluate("window.sent") if one["method"] == method]

    def drop(self, *paths: Path, text: str = "", kind: str = "text/plain") -> None:
        """Drops files, or text, as a hand does."""
        session = self.page.context.new_cdp_session(self.page)
        items = [{"mimeType": kind, "data": text}] if text else []
        data = {"items": items, "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": step, "x": 100, "y": 100, "data": data})

    def _answer(self, route: Route) -> None:
        at, path = route.request.url, urlsplit(route.request.url).path.removeprefix(urlsplit(BASE).path)
        if at.startswith(("blob:", "data:")):
            route.continue_()
        elif not at.startswith(BASE):
            self.troubles.append(f"{at} was asked for.")
            route.abort()
        elif path == "faces":
            route.fulfill(json=self.faces)
        elif path.startswith("animate"):
            if route.request.method == "DELETE":
                route.fulfill(status=204)
            else:
                (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(route)
        else:
            file = STATIC / (path or "index.html")
            kind = mimetypes.guess_type(file.name)[0]
            route.fulfill(body=file.read_bytes(), content_type=kind, headers={"Content-Security-Policy": POLICY})

    def _talk(self, socket: WebSocketRoute) -> None:
        self.talks.append(socket.url)

        def heard(message: str | bytes) -> None:
            if isinstance(message, str):
                self.talks.append(message)
            elif message.startswith(b"\x89PNG"):  # the photo
                socket.send(json.dumps({"ready": True, "fps": 25, "width": 512, "height": 384}))
                socket.send(bytes(12) + b"\1a frame that cannot be decoded")
                socket.send(bytes(12) + b"\1" + message)

        socket.on_message(heard)


@contextmanager
def alone(browser: Browser, **context: Any) -> Iterator[Alone]:
    """The page in a context of its own; fails if it asked another host, broke its policy, or threw an error."""
    with browser.new_context(**context) as made:
        opened = Alone(made.new_page())
        yield opened
        assert opened.page.evaluate("window.violations") == []
        assert not opened.troubles, opened.troubles


def stands(done: int, total: int | None, state: str = "running") -> Callable[[Route], None]:
    """The answer that a video is not there yet."""
    said = {"job": "of-the-server", "state": state, "done": done, "total": total}
    return lambda route: route.fulfill(status=202, json=said, headers={"Retry-After": "0.2"})


def refused(status: int, detail: str) -> Callable[[Route], None]:
    """The answer that no video can be made."""
    return lambda route: route.fulfill(status=status, json={"detail": detail})


def made(film: Path, *notes: str) -> Callable[[Route], None]:
    """The answer that is the video, with what the server says about its photo."""
    headers = {"Content-Type": "video/mp4"} | ({"X-Stillspeak-Notes": json.dumps(notes)} if notes else {})
    return lambda route: route.fulfill(body=film.read_bytes(), headers=headers)
