"""Signs files with the user's key: adds a manifest of C2PA (Coalition for Content Provenance and Authenticity), version 2.

This needs the extra ``[sign]``. The manifest says that a trained model created the file, and names the program.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stillspeak.errors import OutputError
from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE, EDITED_SOURCE_TYPE, package_version
from stillspeak.temporary import temporary_folder
from stillspeak.whole import discard, publish

if TYPE_CHECKING:
    import c2pa

SIGNED_SUFFIXES = (".mp4", ".mov", ".gif", ".png")
_OF_CURVES = {256: b"es256", 384: b"es384", 521: b"es512"}  # the algorithm for EC keys of so many bits


@dataclass(frozen=True)
class Signature:
    """Signs files with a key and its certificates.

    Attributes:
        key: the PEM file of a private key: EC (P-256, P-384), Ed25519 or RSA.
        certificates: the PEM file of the key's certificate and those above it; the root may be left out if readers know it.
    """

    key: Path
    certificates: Path

    def check(self, output: str) -> None:
        """Raises OutputError if key and certificates cannot be used, or the kind of output takes no manifest."""
        if Path(output).suffix.lower() not in SIGNED_SUFFIXES:
            raise OutputError(f"A C2PA manifest can be put into {', '.join(SIGNED_SUFFIXES)}, not into {output}.")
        done, png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
        assert done
        with temporary_folder() as folder:  # only a trial signature shows whether key and certificates fit
            (folder / "trial.png").write_bytes(png.tobytes())
            self.sign(folder / "trial.png")

    def sign(self, path: Path, edited: Path | None = None) -> None:
        """Puts a manifest into a finished file. Raises OutputError if that fails.

        ``edited`` is the file that was edited to make it; the manifest names that file. Without it, the file was created.
        """
        import c2pa

        signed = path.with_name(f".signed.{path.name}")
        try:
            builder = c2pa.Builder(json.dumps(_manifest(edited is not None)))
            if edited is not None:
                _add_ingredient(builder, edited)
            builder.sign_file(path, signed, self._signer())
            publish(signed, path)
        except c2pa.C2paError as error:
            said = f"{path.name} could not be signed with {self.key} and {self.certificates}"
            raise OutputError(f"{said}: {_first_line(error)}") from error
        finally:
            discard(signed)

    def _signer(self) -> "c2pa.Signer":
        import c2pa

        try:
            key, certificates = self.key.read_bytes(), self.certificates.read_bytes()
            info = c2pa.C2paSignerInfo(_algorithm(key), certificates, key, None)
            return c2pa.Signer.from_info(info)
        except OSError as error:
            raise OutputError(f"{error.filename} cannot be read: {error.strerror}.") from error
        except (c2pa.C2paError, ValueError, TypeError) as error:
            raise OutputError(f"{self.key} and {self.certificates} cannot sign: {_first_line(error)}") from error


def _algorithm(key: bytes) -> bytes:
    """Returns C2PA's name of the algorithm of a private key. Raises ValueError for a key that C2PA does not know."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = load_pem_private_key(key, None)
    if isinstance(found, ec.EllipticCurvePrivateKey):
        if found.key_size in _OF_CURVES:
            return _OF_CURVES[found.key_size]
        raise ValueError(f"C2PA knows no EC key of {found.key_size} bits.")
    if isinstance(found, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    if isinstance(found, rsa.RSAPrivateKey):
        return b"ps256"
    raise ValueError("the key is neither EC, Ed25519 nor RSA.")


def _manifest(edited: bool) -> dict[str, object]:
    software = {"name": "stillspeak", "version": package_version()}
    kind = EDITED_SOURCE_TYPE if edited else DIGITAL_SOURCE_TYPE
    done = {"action": "c2pa.edited" if edited else "c2pa.created", "digitalSourceType": kind, "softwareAgent": software}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [done]}}
    return {"claim_generator_info": [software], "assertions": [actions]}


def _add_ingredient(builder: "c2pa.Builder", edited: Path) -> None:
    """Names the file that was edited, with a digest of it and its own manifest if it has one."""
    import c2pa

    builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    with edited.open("rb") as file:
        kind = edited.suffix.lower().lstrip(".") or "mp4"
        builder.add_ingredient(json.dumps({"title": edited.name, "relationship": "parentOf"}), kind, file)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
