"""Runs an exported model with ONNX Runtime. Nothing here needs PyTorch.

- ``engine.py`` runs a model's two graphs, with recurrent state as a value.
- ``graph.py`` runs one ONNX graph, after a fork too.
- ``scene.py`` holds a photo and the faces in it that talk.
- ``compose.py`` does to the photo what the model did to the crop.
- ``smile.py`` cuts the row of upper teeth out of a second photo.
- ``teeth.py`` shows them where the mouth opens.
- ``ramp.py`` gives masks and weights a smooth beginning and end.
- ``mouth_window.py`` places the finer mouth in the photo.
- ``ease.py`` lets a talk begin with the photo as it is.
- ``cast.py`` looks through a film for its people, and for frames with a shut mouth.
- ``strip.py`` draws the people of a film, and when each is seen.
- ``closing.py`` shuts the filmed mouth of a frame.
- ``words.py`` turns speech into what the model needs for each frame.
- ``between.py`` draws the frames between two good ones.
- ``flow.py`` moves head and background from one frame to another.
- ``report.py`` says which seconds of a film were dubbed.
- ``rates.py`` changes the frame rate of frames that come one by one.
- ``voices.py`` reads one voice or several, in step.
- ``judge.py`` runs the graphs of the lip reader and the sync scorer.
- ``motion.py`` checks whether a model moves a mouth at all.
"""
