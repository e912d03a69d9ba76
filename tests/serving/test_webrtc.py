"""WebRTC: a peer that sends sound sees the face move; a place is given back when it goes."""

import asyncio
import io
import json
import re
from fractions import Fraction
from pathlib import Path

import aioice
import av
import httpx
import numpy as np
import pytest
from aioice import mdns
from aiortc import AudioStreamTrack, MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from PIL import Image

from helpers import tone
from stillspeak.serving import webrtc
from stillspeak.serving.server import create_app
from stillspeak.serving.service import Settings

RATE_HZ, BLOCK = 48_000, 960


class Voice(AudioStreamTrack):
    """Speech-like sound, 20 ms every 20 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._samples = (tone(4.0, RATE_HZ).samples.clip(-1, 1) * 32767).astype(np.int16)
        self._at = 0

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(BLOCK / RATE_HZ)
        block = self._samples[np.arange(self._at, self._at + BLOCK) % len(self._samples)]
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._at, Fraction(1, RATE_HZ)
        self._at += BLOCK
        return frame


def wrong_offers(offer: str) -> list[str]:
    """Offers whose video, sound, codecs or keys nobody understands."""
    return [
        offer.replace("VP8", "XX").replace("H264", "YY"),
        offer.replace("opus", "xx").replace("PCM", "ZZ").replace("G722", "YY"),
        "".join(line for line in offer.splitlines(keepends=True) if not line.startswith("a=rtpmap")),
        offer.replace("a=fingerprint", "a=print"),
    ]


def test_a_peer_that_speaks_sees_the_face_move(
    tiny_model: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    photo = io.BytesIO()
    Image.fromarray(astronaut).save(photo, "png")
    app = create_app(Settings(str(tiny_model)))
    service = app.state.service

    async def call() -> list[np.ndarray]:
        peer = RTCPeerConnection()
        peer.addTrack(Voice())
        peer.addTransceiver("video", "recvonly")
        seen: asyncio.Queue[av.VideoFrame] = asyncio.Queue()

        @peer.on("track")
        def arrived(track) -> None:
            async def watch() -> None:
                while True:
                    await seen.put(await track.recv())

            if track.kind == "video":
                watching.append(asyncio.create_task(watch()))

        watching: list[asyncio.Task[None]] = []
        await peer.setLocalDescription(await peer.createOffer())
        async with service.opened():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                files, data = (
                    {"photo": ("a", photo.getvalue())},
                    {"sdp": peer.localDescription.sdp, "side": "256", "mouth": "1.5"},
                )
                answer = (await client.post("/offer", files=files, data=data)).json()
                refused = await client.post("/offer", files=files, data={"sdp": "hello"})
                assert refused.status_code == 400
                too_wide = {**data, "mouth": "2.5"}
                assert (await client.post("/offer", files=files, data=too_wide)).status_code == 422
                for wrong in wrong_offers(peer.localDescription.sdp):
                    refused = await client.post("/offer", files=files, data={"sdp": wrong, "side": "256"})
                    assert refused.status_code == 400, wrong
                large = {"photo": ("a", bytes(int(1 + service.settings.photo_mb * 1e6)))}
                with monkeypatch.context() as patched:  # no caller is made for what is refused
                    patched.setattr(webrtc, "Caller", None)
                    assert (await client.post("/offer", files=large, data=data)).status_code == 413
                mute = RTCPeerConnection()
                mute.addTransceiver("video", "recvonly")
                await mute.setLocalDescription(await mute.createOffer())
                refused = await client.post("/offer", files=files, data={"sdp": mute.localDescription.sdp})
                assert refused.json()["detail"] == "The offer sends no sound."
                await mute.close()
            await peer.setRemoteDescription(RTCSessionDescription(**answer))
            frames = [(await asyncio.wait_for(seen.get(), 20)).to_ndarray(format="rgb24") for _ in range(15)]
            assert service.counts.live == 1
            for task in watching:
                task.cancel()
            await peer.close()
            for _ in range(100):
                if not service.counts.live:
                    break
                await asyncio.sleep(0.1)
            assert service.counts.live == 0
        return frames

    frames = asyncio.run(call())
    assert frames[0].shape == (256, 256, 3)
    assert np.abs(frames[-1][40:100, 85:140].astype(int) - frames[3][40:100, 85:140]).mean() > 0.3
    assert pytest.approx(0, abs=12) == np.abs(frames[-1][:30].astype(int) - frames[3][:30]).mean()


def test_nothing_outside_is_asked_candidates_that_are_names_are_not_looked_up_and_notes_are_told(
    tiny_model: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    photo, head = io.BytesIO(), astronaut[20:220, 130:330]
    Image.fromarray(np.concatenate([head, np.full_like(head, 200), head], axis=1)).save(photo, "png")
    app = create_app(Settings(str(tiny_model)))
    asked: list[object] = []
    notes: list[str] = []

    def look_up(self: object, *arguments: object, **options: object) -> None:
        asked.append(arguments)
        raise OSError("nothing may be asked")

    async def call() -> tuple[int, np.ndarray]:
        peer = RTCPeerConnection(RTCConfiguration([]))
        peer.addTrack(Voice())
        peer.addTransceiver("video", "recvonly")
        seen: list[MediaStreamTrack] = []
        peer.on("track", lambda track: seen.append(track) if track.kind == "video" else None)
        await peer.setLocalDescription(await peer.createOffer())
        named = re.sub(r"(a=candidate:\S+ \S+ \S+ \S+ )\S+", r"\1f2a8c9de.local", peer.localDescription.sdp)
        assert ".local" in named
        async with app.state.service.opened():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                data = {"sdp": named, "side": "240"}
                answer = await client.post("/offer", files={"photo": ("a", photo.getvalue())}, data=data)
            notes.extend(json.loads(answer.headers["X-Stillspeak-Notes"]))
            await peer.setRemoteDescription(RTCSessionDescription(**answer.json()))
            frame = await asyncio.wait_for(seen[0].recv(), 20)
            await peer.close()
            for caller in [*app.state.callers]:
                await caller.close()
        return answer.status_code, frame.to_ndarray(format="rgb24")

    monkeypatch.setattr(mdns.MDnsProtocol, "resolve", look_up)
    monkeypatch.setattr(aioice.ice, "server_reflexive_candidate", look_up)
    monkeypatch.setattr(aioice.turn, "create_turn_endpoint", look_up)
    status, frame = asyncio.run(call())
    assert status == 200
    assert frame.shape == (80, 240, 3)
    assert notes[0] == "2 faces; face 1 speaks (face chooses another)."
    assert asked == []


def test_the_users_own_ice_servers_are_asked(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    servers = "stun:192.0.2.1:3479", "turn:me:word@192.0.2.2?transport=tcp"
    app = create_app(Settings(str(tiny_model), ice_servers=servers))
    given: list[RTCConfiguration] = []
    monkeypatch.setattr(webrtc, "RTCPeerConnection", given.append)
    webrtc.Caller(app.state.service, lambda _: None)
    assert [(one.urls, one.username, one.credential) for one in given[0].iceServers or []] == [
        ("stun:192.0.2.1:3479", None, None),
        ("turn:192.0.2.2?transport=tcp", "me", "word"),
    ]
