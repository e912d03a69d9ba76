"""Performers: people who speak with real teeth, drawn from one still, a 3D head and a real performance. Ours.

``make.py`` is the preparation; every other file holds one part of it.
"""
