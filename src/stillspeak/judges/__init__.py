"""The two networks that ``evaluate`` measures with, and how they are trained. ``runtime/judge.py`` runs them without PyTorch.

- ``lipreader.py`` is the network of the lip reader: it turns mouths into the probabilities of words.
- ``sync.py`` is the network of the sync scorer: it embeds a mouth and a sound close to each other if they belong together.
- ``lessons.py`` holds the batches and losses of the two, and their figures on clips that they never learn from.
- ``phase.py`` teaches a network its lesson; it is the only phase of a judge's training.
- ``build.py`` builds a judge's run, which ``training/loop.py`` trains.
- ``export.py`` turns a run into the folder that ``evaluate`` uses.
"""
