"""Trains a preset on a prepared folder, and exports a model folder.

The loop and its phases:

- ``loop.py`` knows when to log, sample, validate and save.
- ``build.py`` builds a run: its clips, networks and phases.
- ``state.py`` holds what a checkpoint keeps of a run.
- ``phase.py`` holds what all phases share.
- ``warm_start.py`` holds the sound phase and the picture phase.
- ``fine_mouth.py`` teaches the mouth decoder during the picture phase.
- ``step.py`` holds the adversarial phase.
- ``adversary.py`` joins a discriminator with its optimiser and its loss.
- ``calibration.py`` makes mouths open, and eyes close, as far as real ones do.
- ``teacher.py`` trains the phoneme-to-viseme model.
- ``judges.py`` holds the batches and losses of the lip reader and the sync scorer.
- ``judge_loop.py`` trains, resumes and exports the two.

Settings and data:

- ``overrides.py`` reads fields from the command line.
- ``checks.py`` checks that a configuration can be trained with.
- ``loader.py`` draws batches ahead of the step that needs them.
- ``tensors.py`` turns arrays into tensors.
- ``team.py`` makes many processes train as one.
- ``memory.py`` keeps the memory that a step frees for the next one.

The run folder and what a user sees:

- ``run.py`` writes the run folder.
- ``checkpoint.py`` says what a run resumes from.
- ``interrupts.py`` makes Ctrl-C wait for the end of a step.
- ``patience.py`` decides when no further gain is to be expected.
- ``monitor.py`` measures the model on held-out clips during training.
- ``trouble.py`` finds what goes wrong, and says what to do.
- ``watch.py`` prints the progress.
- ``board.py`` writes for TensorBoard.
- ``runs.py`` lists and compares runs.

From a run to a model:

- ``export.py`` writes the ONNX graphs, ``model.json`` and ``CARD.md``.
- ``exported_warp.py`` expresses the warp in the form that ONNX Runtime computes fastest.
- ``mouth_gain.py`` adds the input that says how far the mouth opens.
- ``card.py`` writes the model's card.
- ``weights.py`` keeps a trained generator as a file.
- ``blend.py`` interpolates the weights of two models.
"""
