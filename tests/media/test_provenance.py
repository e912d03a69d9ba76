"""Marks: what we write, we read back; what others write too; what is signed and then changed is found out."""

import datetime
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stillspeak.cli import main
from stillspeak.errors import MediaError, OutputError
from stillspeak.media.inspection import inspect
from stillspeak.media.pictures import open_writer
from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE, software
from stillspeak.media.signing import Signature

USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def certificate(
    key: ec.EllipticCurvePrivateKey, name: str, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, authority: bool
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")]
        )

    now = datetime.datetime.now(datetime.UTC)
    allowed = {"key_cert_sign", "crl_sign"} if authority else {"digital_signature"}
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.KeyUsage(**{usage: usage in allowed for usage in USAGES}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def signature(tmp_path_factory: pytest.TempPathFactory) -> Signature:
    folder = tmp_path_factory.mktemp("keys")
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = [certificate(own, "Anna", "root", root, False), certificate(root, "root", "root", root, True)]
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    (folder / "key.pem").write_bytes(pem(own))
    return Signature(folder / "key.pem", folder / "chain.pem")


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    how = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*how)


def made(path: Path, signature: Signature | None = None) -> Path:
    with open_writer(str(path), Fraction(25), None, signature=signature) as writer:
        for t in range(4):
            writer.write(np.full((64, 64, 3), 50 * t, np.uint8))
    return Path(str(path) % 0) if "%" in path.name else path


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.webm", "o.gif", "o_%d.png"])
def test_every_output_says_that_it_is_synthetic_and_is_understood(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["inspect", str(made(tmp_path / name))]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["synthetic"] is True
    assert said["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert said["software"] == software()


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.gif", "o_%d.png"])
def test_a_signed_file_says_who_signed_it_and_a_change_is_found_out(tmp_path: Path, name: str, signature: Signature):
    path = made(tmp_path / name, signature)
    said = inspect(path)["c2pa"]
    assert (said["signed_by"], said["state"]) == ("Anna", "Valid")
    assert said["problems"] == ["signingCredential.untrusted"]  # nobody knows our test's root
    assert said["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    content = bytearray(path.read_bytes())
    at = content.rfind(b"mdat") + 200 if path.suffix in (".mp4", ".mov") else len(content) - 20
    content[at] ^= 0xFF
    path.write_bytes(content)
    assert inspect(path).get("c2pa", {}).get("state") != "Valid"


def test_marks_of_others_are_understood(tmp_path: Path):
    xmp = "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{}</Iptc4xmpExt:DigitalSourceType>"
    for kind, synthetic in (("trainedAlgorithmicMedia", True), ("digitalCapture", None)):
        done, jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
        packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp.format(kind).encode()
        assert done
        segment = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
        (tmp_path / "a.jpg").write_bytes(jpeg.tobytes()[:2] + segment + jpeg.tobytes()[2:])
        said = inspect(tmp_path / "a.jpg")
        assert (said["synthetic"], said["found_in"]) == (synthetic, ["xmp"])


@pytest.mark.parametrize("comment", ["[]", "3", '{"digitalSourceType": 3}', '{"digitalSourceType": {}}', "[" * 9000])
def test_comments_of_others_may_be_anything(tmp_path: Path, comment: str):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))
    assert inspect(tmp_path / "a.mkv")["synthetic"] is None


def test_a_file_without_marks_may_be_anything(tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 5000)
    assert inspect(tmp_path / "a.bin")["synthetic"] is None
    assert inspect(tmp_path / "a.bin")["found_in"] == []
    with pytest.raises(MediaError, match="no file"):
        inspect(tmp_path / "gone")


def test_keys_that_cannot_sign_are_said_before_anything_is_made(tmp_path: Path, signature: Signature):
    (tmp_path / "other.pem").write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    for key, chain, said in (
        (tmp_path / "gone.pem", signature.certificates, "cannot be read"),
        (signature.certificates, signature.certificates, "cannot sign"),
        (signature.key, signature.key, "signed with"),
        (tmp_path / "other.pem", signature.certificates, "signed with"),
    ):
        with pytest.raises(OutputError, match=said):
            Signature(key, chain).check("o.mp4")
    with pytest.raises(OutputError, match=r"not into o\.webm"):
        signature.check("o.webm")
