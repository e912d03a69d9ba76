"""The two networks that ``evaluate`` measures with, and how they are trained. ``runtime/judge.py`` runs them without PyTorch.

- ``lipreader.py`` is the network of the lip reader: it turns mouths into the probabilities of words.
- ``sync.py`` is the network of the sync scorer: it embeds a mouth and a sound close to each other if they belong together.
- ``lessons.py`` holds the batches and losses of the two, and their figures on clips that they never learn from.
- ``train.py`` trains, resumes and exports them.
"""
