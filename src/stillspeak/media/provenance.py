"""What every output says of itself, machine-readably: that it is synthetic, and what made it.

The digital source type is IPTC's controlled term for media made by a trained model
(cv.iptc.org/newscodes/digitalsourcetype). Signed manifests are not written here yet.
"""

import json
from importlib.metadata import PackageNotFoundError, version

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def package_version() -> str:
    """The installed version of stillspeak, or ``0`` from a bare source tree."""
    try:
        return version("stillspeak")
    except PackageNotFoundError:
        return "0"


def container_metadata() -> dict[str, str]:
    """Tags for a media container: the IPTC digital source type, and the same as JSON in the comment any tool shows."""
    software = f"stillspeak {package_version()}"
    comment = json.dumps({"digitalSourceType": DIGITAL_SOURCE_TYPE, "software": software, "synthetic": True})
    return {"comment": comment, "encoder": software, "DigitalSourceType": DIGITAL_SOURCE_TYPE}
