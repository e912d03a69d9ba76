"""Reads what any file says of itself, in container tags, XMP and C2PA. It proves little, for anybody can remove tags."""

import contextlib
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av.error

from stillspeak.media.files import require_file
from stillspeak.media.opening import open_media

_BLOCK, _OVERLAP = 1 << 20, 1 << 10
_XMP_TYPE = re.compile(rb'DigitalSourceType(?:="|>|&quot;)?\s*(?:rdf:resource=")?(https?://[^"<\s]{1,200})')
_XMP_TOOL = re.compile(rb'xmp:CreatorTool(?:="|>)([^"<]{1,100})')
_SYNTHETIC = (
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "compositeSynthetic",
    "algorithmicMedia",
)


def inspect(path: str | Path) -> dict[str, Any]:
    """Reads the marks of a file.

    Returns:
        ``synthetic``: True if a mark says so, else None, for a file without marks may be anything. ``digitalSourceType`` and
        ``software``: as the first mark names them. ``found_in``: the kinds of mark that were found: tags, xmp, c2pa. ``c2pa``:
        who signed, and whether the file is unchanged since, if the package c2pa is installed.

    Raises:
        MediaError: if the file is missing, empty or cannot be read.
    """
    path = Path(path)
    require_file(path)
    marks = {"tags": _tags(path), "xmp": _xmp(path), "c2pa": _c2pa(path)}
    found = {name: mark for name, mark in marks.items() if mark}
    kind = next((mark["digitalSourceType"] for mark in found.values() if mark.get("digitalSourceType")), None)
    made = next((mark["software"] for mark in found.values() if mark.get("software")), None)
    synthetic = True if kind and kind.rsplit("/", 1)[-1] in _SYNTHETIC else None
    said = {
        "file": str(path),
        "synthetic": synthetic,
        "digitalSourceType": kind,
        "software": made,
        "found_in": [*found],
    }
    return said | ({"c2pa": marks["c2pa"]} if marks["c2pa"] else {})


def _tags(path: Path) -> dict[str, Any]:
    """Reads the tags of a media container."""
    try:
        with open_media(path) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, OSError, ValueError):  # MediaError is one: any file may be asked about
        return {}
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(tags.get("comment", ""))
        if isinstance(said, dict) and isinstance(kind := said.get("digitalSourceType"), str):
            return {"digitalSourceType": kind, "software": _text(said.get("software"))}
    kind = tags.get("digitalsourcetype")
    return {"digitalSourceType": kind, "software": tags.get("encoder")} if kind else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _xmp(path: Path) -> dict[str, Any]:
    """Reads an XMP packet anywhere in the file."""
    found: dict[str, Any] = {}
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            window = rest + block
            for name, pattern in (("digitalSourceType", _XMP_TYPE), ("software", _XMP_TOOL)):
                if name not in found and (match := pattern.search(window)):
                    found[name] = match[1].decode(errors="replace")
            rest = window[-_OVERLAP:]
    return found if "digitalSourceType" in found else {}


def _c2pa(path: Path) -> dict[str, Any]:
    """Reads a C2PA manifest: who signed, and whether the file is unchanged since."""
    if find_spec("c2pa") is None:
        return {}
    import c2pa

    try:
        here = c2pa.Context.from_dict({"verify": {"remote_manifest_fetch": False}})  # a file names no server to ask
        store = json.loads(c2pa.Reader(path, context=here).json())
        return _said_by(store, store["manifests"][store["active_manifest"]])
    except (c2pa.C2paError, KeyError, TypeError, AttributeError, ValueError, OSError):  # a manifest may hold anything
        return {}


def _said_by(store: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns what the active manifest of a C2PA store says. Raises KeyError, TypeError or AttributeError if it is none."""
    claims = [a for a in manifest.get("assertions", []) if "actions" in a.get("label", "")]
    actions = [action for claim in claims for action in claim["data"]["actions"]]
    kinds = [kind for action in actions if (kind := _text(action.get("digitalSourceType")))]
    makers = manifest.get("claim_generator_info") or [{}]
    return {
        "digitalSourceType": kinds[0] if kinds else None,
        "software": " ".join(str(makers[0].get(key, "")) for key in ("name", "version")).strip() or None,
        "state": store.get("validation_state"),
        "signed_by": (manifest.get("signature_info") or {}).get("common_name"),
        "problems": [status["code"] for status in store.get("validation_status") or []],
    }
