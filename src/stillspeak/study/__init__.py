"""The user study of section 4.4: people watch videos in a browser and say which are real, or which look more natural.

- ``build.py`` makes a study, and describes it in ``study.json``.
- ``videos.py`` makes its videos, so that nothing but the face tells a generated one from a real one.
- ``answers.py`` chooses what each visitor sees, and keeps what they answer.
- ``server.py`` serves the page and takes the answers.
- ``report.py`` counts the answers.

``page/`` holds the page that visitors see.
"""
