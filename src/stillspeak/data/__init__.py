"""Prepares corpora as training clips, reads the clips, and varies them. The package ``performers`` makes synthetic speakers.

From a corpus to a prepared folder:

- ``corpora.py`` lists the clips of GRID, TCD-TIMIT, CREMA-D, LRW, or any folder of videos.
- ``prepare.py`` turns each raw clip into an aligned one, or drops it with a reason.
- ``pools.py`` runs that on the cores of this machine or on a Ray cluster.
- ``records.py`` keeps what became of each clip.
- ``manifest.py`` reads and writes the list of a prepared folder.
- ``summary.py`` writes its ``report.md``.
- ``show.py`` prints its speakers and draws a contact sheet.
- ``files.py`` finds the files of a clip, loose or in a shard.
- ``shards.py`` packs a prepared folder into WebDataset shards, and unpacks them.
- ``synthetic.py`` draws talking faces whose mouths are known, as a corpus for tests.

What widens a small corpus:

- ``voices.py`` gives a clip's sound another pitch and other formants.
- ``readings.py`` has synthetic voices read a clip's words in the clip's own time.
- ``phonemes.py`` says which phoneme is spoken when.
- ``sentences.py`` has synthetic voices read any text aloud.
- ``portraits.py`` prepares photos that clips can make talk.
- ``recombine.py`` moves a portrait by the mouth and the eyes of a clip.
- ``augment.py`` varies the look of faces and the sound of voices.

What a training reads:

- ``clips.py`` reads the clips of a prepared folder or of its shards.
- ``drawer.py`` draws varied batches from them.
- ``batches.py`` holds what the networks are given in a step.
- ``epochs.py`` shows every clip of the mirrored set once an epoch, beside clips of about its length.
- ``frame_cache.py`` keeps decoded frames in one file that is mapped into memory.
- ``fine.py`` reads mouths at three times the crop's resolution, for clips that have them.
- ``landmarks.py`` finds the 68 landmarks of an aligned face.
- ``mouth_code.py`` describes the shape of a mouth in a few numbers.
- ``expression.py`` describes eyes and brows in two numbers.
"""
