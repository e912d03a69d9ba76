"""The 3D head's files."""

from pathlib import Path

import numpy as np
import pytest

from stillspeak.data.performers.head import FACE, TEETH, read_head, read_obj
from stillspeak.errors import DataError


def test_an_obj_file_is_read_and_its_faces_are_cut_into_triangles(tmp_path: Path):
    path = tmp_path / "mesh.obj"
    path.write_text("# a square\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0.5\nvt 0 0\nusemtl M_Face\nf 1/1 2/1 3/1 4/1\n")
    vertices, triangles = read_obj(path)
    assert vertices[3] == pytest.approx([0, 1, 0.5])
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("content", ["v 0 zero 0\n", "f a b c\n"])
def test_a_damaged_obj_file_is_one_sentence(tmp_path: Path, content: str):
    (tmp_path / "mesh.obj").write_text(content)
    with pytest.raises(DataError, match=r"mesh\.obj is no Wavefront OBJ"):
        read_obj(tmp_path / "mesh.obj")


def test_what_is_no_head_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="There is no 3D head"):
        read_head(tmp_path / "head.npz")
    with pytest.raises(DataError, match=r"holds no generic_neutral_mesh\.obj"):
        read_head(tmp_path)
    (tmp_path / "head.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="damaged"):
        read_head(tmp_path / "head.npz")
    np.savez(tmp_path / "other.npz", neutral=np.zeros((5, 3)))
    with pytest.raises(DataError, match="damaged"):
        read_head(tmp_path / "other.npz")


@pytest.mark.corpus
def test_the_published_meshes_and_the_packed_head_agree(corpus: Path):
    packed, published = read_head(corpus / "heads" / "ict_facekit.npz"), read_head(corpus / "heads" / "FaceXModel")
    assert np.array_equal(packed.neutral, published.neutral)
    assert np.array_equal(packed.triangles, published.triangles)
    assert np.array_equal(packed.landmarks, published.landmarks)
    assert published.names == ("jawOpen",)
    assert published.expression("jawOpen") == pytest.approx(packed.expression("jawOpen"), abs=2e-3)
    assert published.identities[0] == pytest.approx(packed.identities[0], abs=2e-3)


@pytest.mark.corpus
def test_triangles_within_a_part_touch_no_other(corpus: Path):
    head = read_head(corpus / "heads" / "ict_facekit.npz")
    assert head.within(FACE).max() < FACE.stop
    teeth = head.within(TEETH)
    assert teeth.min() >= TEETH.start
    assert len(teeth) == 8696
