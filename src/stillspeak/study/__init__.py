"""The user study of section 4.4: people watch videos in a browser and say which are real, or which look more natural.

- ``build.py`` makes the videos of a study, and describes it in ``study.json``.
- ``answers.py`` chooses what each visitor sees, and keeps what they answer.
- ``server.py`` serves the page and takes the answers.
- ``report.py`` counts the answers.

``page/`` holds the page that visitors see.
"""
