"""The demo: NASA's portrait of Eileen Collins (public domain, inside scikit-image) says a synthesised sentence.

Writes demo.mp4, and demo.png with every sixth frame, to the folder given.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data

import stillspeak

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
folder.mkdir(parents=True, exist_ok=True)
photo = np.asarray(skimage.data.astronaut(), np.uint8)

animator = stillspeak.load()
video = animator(photo, Path(__file__).parent / "hello.flac")
video.save(folder / "demo.mp4")

frames = video.frames[:: max(1, len(video.frames) // 16)][:16]
frames = [cv2.resize(frame, (192, 192), interpolation=cv2.INTER_AREA) for frame in frames]
sheet = np.vstack([np.hstack(frames[:8]), np.hstack(frames[8:])])
cv2.imwrite(str(folder / "demo.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
print(f"{len(video.frames)} frames: {folder / 'demo.mp4'}; at a glance: {folder / 'demo.png'}")
