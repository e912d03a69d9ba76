"""The live server. ``static/`` holds its page.

The application:

- ``server.py`` builds the FastAPI application.
- ``dub_routes.py`` lets films say something else, over HTTP.
- ``film_routes.py`` adds the routes of videos.
- ``talk_routes.py`` adds the routes of live talks, ``WS /talk`` and ``POST /offer``.
- ``reference.py`` makes ``/docs``.
- ``counts.py`` counts what ``/metrics`` reports.
- ``settings.py`` holds the settings and their defaults.
- ``listen.py`` runs an application until it is stopped.

Live talks:

- ``talk.py`` handles one connection of ``WS /talk``.
- ``session.py`` turns sound into pictures, without any network.
- ``newest.py`` looks at the pictures that a client sends during a talk.
- ``protocol.py`` defines the messages.
- ``webrtc.py`` carries the same talk over WebRTC.
- ``ice.py`` reads the addresses of STUN and TURN servers.

Videos:

- ``films.py`` makes videos and keeps them for a while.
- ``worker.py`` makes one video in a process of its own.
- ``folder.py`` holds the server's temporary folder.
- ``length.py`` measures how long a client's speech is.
- ``decoding.py`` has photos decoded by processes with limits of memory and time.
- ``decoder.py`` is such a process: it decodes photos one after another.

Limits:

- ``service.py`` holds what all requests share: the model, the threads and the places.
- ``limits.py`` checks API keys and sizes.
- ``origins.py`` decides which pages may ask.
- ``proxies.py`` handles a server behind a reverse proxy.
- ``connections.py`` closes connections that stay silent.
- ``room.py`` answers when the disk is full.
- ``refusals.py`` holds the sentences with which the server refuses.
"""
