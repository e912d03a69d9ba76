"""Measures models: each metric has its own file, and ``evaluate.py`` runs them over clips. Nothing here needs PyTorch.

- ``evaluate.py`` measures a model over the clips of a prepared folder, or any two videos.
- ``kept.py`` chooses the clips and keeps what was measured of each.
- ``measure.py`` computes every metric of one video.
- ``report.py`` writes tables with means and 95 % intervals.
- ``compare.py`` sets two evaluations side by side, clip by clip.
- ``quality.py`` computes PSNR and SSIM.
- ``sharpness.py`` computes CPBD and FDBM.
- ``identity.py`` computes ACD.
- ``words.py`` computes the word error rate with the lip reader.
- ``sync.py`` computes audio-video offset and confidence with the sync scorer.
- ``blinks.py`` counts blinks.
- ``mouth.py`` measures how the mouth follows the speech, and whether it rests in silence.
"""
