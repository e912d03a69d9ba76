"""Repeats the paper's experiments.

- ``ablation.py`` trains and measures the rows of Tables 2 and 3.
- ``tables.py`` writes those tables.
- ``figures.py`` draws figures 4 to 8.
- ``moments.py`` finds the moments that they show.
- ``drawing.py`` writes a figure as PNG and PDF.
- ``timing.py`` measures the timings of section 4.
"""
