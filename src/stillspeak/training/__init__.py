"""Trains a preset on a prepared folder, and exports a model folder.

The loop and its phases:

- ``loop.py`` knows when to log, sample, validate and save, whatever it trains.
- ``subject.py`` says what the loop asks of a generator, or of a judge (``stillspeak.judges``).
- ``state.py`` holds what a checkpoint keeps of every run.
- ``phase.py`` holds what all phases share.

The generator:

- ``build.py`` builds a generator's run: its clips, networks and phases.
- ``generator_state.py`` holds what a checkpoint keeps of it.
- ``warm_start.py`` holds the sound phase and the picture phase.
- ``fine_mouth.py`` teaches the mouth decoder in a picture stage.
- ``step.py`` holds the adversarial phase.
- ``adversary.py`` joins a discriminator with its optimiser and its loss.
- ``finishing.py`` begins and finishes a stage: it keeps a part of what was learnt, and calibrates.
- ``calibration.py`` makes mouths open, and eyes close, as far as real ones do.
- ``teacher.py`` trains the phoneme-to-viseme model.

Settings and data:

- ``overrides.py`` reads fields from the command line.
- ``checks.py`` checks that a configuration can be trained with.
- ``loader.py`` draws batches ahead of the step that needs them.
- ``tensors.py`` turns arrays into tensors.
- ``team.py`` makes many processes train as one.
- ``memory.py`` keeps the memory that a step frees for the next one.

The run folder and what a user sees:

- ``run.py`` writes the run folder.
- ``former.py`` reads configs and options from before a preset was a list of stages.
- ``checkpoint.py`` says what a run resumes from.
- ``interrupts.py`` makes Ctrl-C wait for the end of a step.
- ``patience.py`` decides when no further gain is to be expected.
- ``monitor.py`` measures the model on held-out clips during training.
- ``trouble.py`` finds what goes wrong, and says what to do.
- ``watch.py`` prints the progress of any run.
- ``generator_watch.py`` prints what only a generator's run has.
- ``board.py`` writes for TensorBoard.
- ``runs.py`` lists and compares runs.

From a run to a model:

- ``export.py`` writes the ONNX graphs, ``model.json`` and ``CARD.md``.
- ``exported_warp.py`` expresses the warp in the form that ONNX Runtime computes fastest.
- ``blinking.py`` sets the Noise Generator so that its noise blinks.
- ``mouth_gain.py`` adds the input that says how far the mouth opens, and opens it further for good.
- ``card.py`` writes the model's card.
- ``weights.py`` keeps a trained generator as a file.
"""
