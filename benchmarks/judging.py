"""Seconds to judge a clip of 3 s by metric, on one core.

python benchmarks/judging.py [--repetitions 3]
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data

import stillspeak
from stillspeak.evaluation.identity import embeddings
from stillspeak.evaluation.measure import Judges, measure, reference
from stillspeak.media.audio import Sound, read_audio
from stillspeak.runtime.scene import still

SPEECH = Path(__file__).parent.parent / "examples" / "hello.flac"
SECONDS = 3.0
SENTENCE = "bin blue at f two now"  # the reader takes as long whatever was said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    cv2.setNumThreads(1)
    speech = read_audio(SPEECH)
    sound = Sound(speech.samples[: round(SECONDS * speech.rate_hz)], speech.rate_hz)
    animator = stillspeak.load(threads=1)
    photo = np.asarray(skimage.data.astronaut(), np.uint8)
    frames = animator(photo, sound, crop=True).frames
    judges = Judges()
    real = reference(frames, sound, animator.fps, SENTENCE, embeddings(still(photo)[None]))
    measure(frames, real, judges)  # what is loaded once is not counted
    best: dict[str, float] = {}
    started = time.perf_counter()
    for _ in range(repetitions):
        seconds: dict[str, float] = {}
        measure(frames, real, judges, seconds)
        best = {name: min(took, best.get(name, took)) for name, took in seconds.items()}
    mean = (time.perf_counter() - started) / repetitions
    print(
        f"seconds a clip of {len(frames)} frames, one core, best of {repetitions} (mean of all together {mean:.2f})\n"
    )
    print("| metric | seconds |\n|---|---|")
    for name, took in best.items():
        print(f"| {name} | {took:.2f} |")
    print(f"| all but WER | {sum(took for name, took in best.items() if name != 'WER'):.2f} |")


if __name__ == "__main__":
    main()
