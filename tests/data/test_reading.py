"""Products that were cut or flipped are read as they were, or end in a sentence with the file: never in a traceback."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from blendimpact.data import catalogues
from blendimpact.data.children import Children
from blendimpact.data.chunk import Chunk, PatchStore
from blendimpact.data.hdus import read_hdu
from blendimpact.data.images import PatchFile, PatchWriter
from blendimpact.data.sky_maps import SkyFile, SkyWriter
from blendimpact.errors import StudyError
from patch_maker import make_patch


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the patch, and a folder with each kind of product."""
    folder, patch = (
        tmp_path_factory.mktemp("made"),
        make_patch({"r": np.random.default_rng(0).normal(size=(40, 40)), "i": np.ones((40, 40))}),
    )
    with PatchWriter(folder / "images.fits") as writer:
        writer.write(patch)
    with SkyWriter(folder / "sky.h5") as writer:
        writer.write(patch, {band: np.ones(patch.shape, np.float32) for band in patch.bands})
        writer.add(patch, "extra", Table({"x": np.arange(50.0)}))
    with PatchStore(folder / "children.h5") as store:
        children = Children.blank(patch, {"det_id": np.arange(5), "x": np.full(5, 9.0), "y": np.full(5, 9.0)}, 15)
        children.write(store.group(patch).create_group("true"))
    table = catalogues.describe(Table({"x": np.arange(500.0)}), {"x": (None, "x")})
    catalogues.write(table, folder / "table.parquet")
    return patch, folder


def read_images(path, patch):
    with PatchFile(path) as file:
        return [one for one in file]


def read_sky(path, patch):
    with SkyFile(path) as file:
        return file.read(patch), file.tables(patch)


def read_children(path, patch):
    with Chunk(path.with_name("images.fits"), separated=path) as chunk:
        return [Children.read(data.separated["true"]) for data in chunk.patches("")]


def read_table(path, patch):
    return catalogues.read(path, ["x"])


READ = {"images.fits": read_images, "sky.h5": read_sky, "children.h5": read_children, "table.parquet": read_table}


def damaged(data, rng):
    """Yield cut and flipped copies of the bytes of a file, most of them where the structure is."""
    for size in (0, 1, 100, 3000, len(data) // 2, len(data) - 10):
        yield data[: min(size, len(data) - 1)]
    for place in [*rng.integers(0, min(len(data), 9000), 25), *rng.integers(0, len(data), 10)]:
        copy = bytearray(data)
        copy[place : place + 8] = rng.bytes(len(copy[place : place + 8]))
        yield bytes(copy)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READ)
def test_a_damaged_product_is_read_or_named(made, tmp_path, name):
    patch, folder = made
    (tmp_path / "images.fits").write_bytes((folder / "images.fits").read_bytes())
    READ[name](folder / name, patch)
    refused = []
    for data in damaged((folder / name).read_bytes(), np.random.default_rng(1)):
        (tmp_path / name).write_bytes(data)
        try:
            READ[name](tmp_path / name, patch)
        except StudyError as error:
            refused.append(str(error))
    assert len(refused) > 6 and all(str(tmp_path / name) in text and "Remedy: " in text for text in refused)


@pytest.mark.parametrize("side", [10**5, 10**7])  # 40 GB, 400 TB
def test_fits_of_absurd_size_is_refused_before_it_is_read(tmp_path, side):
    header = fits.PrimaryHDU(np.zeros((10, 10), np.float32)).header
    header["NAXIS1"], header["NAXIS2"] = side, side
    (tmp_path / "a.fits").write_bytes(header.tostring().encode() + bytes(2880))
    with pytest.raises(StudyError, match=r"a\.fits: not a FITS file of patches that can be read"):
        PatchFile(tmp_path / "a.fits")
    with pytest.raises(StudyError, match=r"a\.fits: the image cannot be read"):
        read_hdu(tmp_path / "a.fits", 0, "image")


def test_a_store_that_lost_a_patch_is_named(made, tmp_path):
    patch, folder = made
    (tmp_path / "images.fits").write_bytes((folder / "images.fits").read_bytes())
    with h5py.File(tmp_path / "children.h5", "w"):
        pass
    with pytest.raises(StudyError, match=r"children\.h5: not an HDF5 file of separated light"):
        read_children(tmp_path / "children.h5", patch)
