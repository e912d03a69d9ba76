"""Turns files into arrays and arrays into files: sound, photos, videos and their marks. Nothing here knows a model.

Sound:

- ``audio.py`` reads the sound of any file as mono samples, and writes sound files.
- ``channels.py`` mixes decoded sound of any format, rate and number of channels into one run of samples.
- ``loudness.py`` raises quiet speech to the level of ordinary speech while it is heard.
- ``windows.py`` cuts sound into overlapping windows, one for each video frame, offline and live.
- ``spectrum.py`` computes log-mel spectra.

Videos:

- ``video.py`` reads a video as frames at an exact rate.
- ``film.py`` reads a film at its own times, to change some of its pixels.
- ``shown.py`` turns a decoded frame into what players show.
- ``streams.py`` chooses the picture and the sound that players would show and play.
- ``timeline.py`` puts the time stamps of picture and sound on one clock.
- ``writer.py`` writes frames and sound as mp4, mov, mkv or webm.
- ``film_writer.py`` writes a film that was changed in places, and leaves the rest as it was stored.
- ``pictures.py`` writes frames as PNG files or as raw bytes to a pipe.
- ``gif.py`` writes frames as an animated GIF.
- ``soundtrack.py`` writes the user's own sound into a video, in time.
- ``copied.py`` decides whether the packets of that sound can be copied without encoding.

Photos and faces:

- ``faces.py`` finds faces and cuts aligned crops; it also holds the crop's geometry.
- ``gaps.py`` finds frames that are missing, frozen or black.
- ``track.py`` follows faces through a film.
- ``spans.py`` finds runs of frames for which something is true.
- ``people.py`` tells people apart by their faces.
- ``portrait.py`` says whether a photo can be made to talk, and numbers its faces.
- ``covers.py`` says whether something covers the mouth of a face.
- ``mouths.py`` cuts the mouth's window out of aligned crops.
- ``images.py`` reads and writes photos as 8-bit sRGB.
- ``photo_files.py`` opens the kinds of file that photos come in, and no others.
- ``mending.py`` takes damaged metadata out of a picture's file before it is decoded.

Files and their marks:

- ``files.py`` checks that a file exists and can be read.
- ``kinds.py`` tells the kind of a file by its first bytes.
- ``opening.py`` opens sound and video files, and nothing that leads to other files.
- ``provenance.py`` writes the marks of synthetic media into every output.
- ``signing.py`` adds a signed C2PA manifest.
- ``inspection.py`` reads marks and manifests back from any file.
- ``label.py`` draws a label that everybody sees.
"""
