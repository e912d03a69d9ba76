"""Holds the networks, which turn tensors into tensors. Nothing here trains, reads a file, or knows a command.

- ``generator.py`` holds the Identity Encoder, the Context Encoder, the Noise Generator and the Frame Decoder.
- ``mouth_decoder.py`` draws the mouth at three times the crop's resolution.
- ``blocks.py`` holds the layers that several networks share, among them the audio encoder.
- ``discriminators.py`` holds the frame, sequence, synchronisation and mouth discriminators.
- ``losses.py`` holds Eq. 1, 2 and 3.
- ``lengths.py`` joins clips of any lengths to a batch without padding.
- ``teacher.py`` is the phoneme-to-viseme model: it predicts a mouth from phonemes.
"""
