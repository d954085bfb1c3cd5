"""What holds images shows itself by shapes, in a line or two: plug-ins print it."""

import numpy as np
from astropy.table import Table
from blendimpact.data.children import Children
from blendimpact.data.chunk import PatchData
from patch_maker import make_patch


def test_a_patch_shows_the_shapes_of_its_arrays():
    text = repr(make_patch(np.zeros((60, 70), np.float32)))
    assert text.startswith("Patch(index=") and "science=<60 x 70 float32>" in text and "border=" in text
    assert "array(" not in text and "\n" not in text and len(text) < 2000


def test_what_stages_read_shows_its_rows():
    data = PatchData(make_patch(np.zeros((60, 70), np.float32)), truth=Table({"x": np.arange(500.0)}))
    assert "truth=<500 rows, 1 columns>" in repr(data) and "detections=None" in repr(data)


def test_children_show_their_number():
    ids = np.arange(3)
    children = Children(ids, ids, ids, np.zeros((3, 2, 9, 9), np.float32), ids)
    assert "stamps=<3 x 2 x 9 x 9 float32>" in repr(children)
