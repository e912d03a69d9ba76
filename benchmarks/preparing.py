"""How fast raw clips become training clips: clips a second, and milliseconds of one core for 25 frames of video.

Each row prepares the same clips into an empty folder, without voices or readings.

    python benchmarks/preparing.py CORPUS SOURCE [--clips 40] [--workers 1 2]
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

from stillspeak.data.corpora import source_clips
from stillspeak.data.pools import run_here
from stillspeak.data.prepare import FPS, load_record, prepare_clip, record_path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("source", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    clips = source_clips(arguments.corpus, arguments.source.resolve())[: arguments.clips + max(arguments.workers)]
    print("| processes | clips / s | ms of a process for 25 frames |\n|---|---|---|")
    for workers in arguments.workers:
        with tempfile.TemporaryDirectory() as folder:
            done = run_here(partial(prepare_clip, destination=Path(folder)), clips, workers)
            for _ in range(workers):
                next(done)  # starting a process is not preparing
            began, count = time.perf_counter(), 0
            for _ in done:
                count += 1
            seconds = time.perf_counter() - began
            frames = sum(load_record(record_path(Path(folder), clip)).frames for clip in clips) / len(clips)
        each = 1000 * seconds * workers / count / frames * FPS
        print(f"| {workers} | {count / seconds:.2f} | {each:.0f} |")


if __name__ == "__main__":
    main()
