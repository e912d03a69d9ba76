"""Makes performers: synthetic speakers with teeth, drawn from one still, a 3D head and a real performance. Ours.

- ``make.py`` prepares the clips of every performer, and goes on where it stopped.
- ``head.py`` reads the 3D head.
- ``tracking.py`` finds the landmarks and the blendshapes of a face.
- ``fit.py`` lays the head over the face of a photo.
- ``sitter.py`` holds everything about one person that is the same in all frames.
- ``seams.py`` splits the line of closed lips into two edges.
- ``lids.py`` closes the eyes.
- ``mouth.py`` holds the teeth, gums, tongue and socket, and lights them.
- ``drive.py`` solves for the expressions that follow a performance.
- ``move.py`` moves the head frame by frame.
- ``motion.py`` writes that motion as a table.
- ``render.py`` draws a frame.
- ``raster.py`` turns triangles into pixels.
- ``variety.py`` draws by chance what makes two performers differ.
"""
