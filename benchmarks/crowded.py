"""PSF photometry in crowded fields: CPU per star by density and by area, memory, photutils beside it.

Fields of stars at random places, Kolmogorov PSF of 0.75 arcsec on pixels of 0.2 arcsec, counts that rise as 10^(0.3 m)
from S/N 1 to 4000; the density counts stars of S/N > 5, whose true centres both programs get. `psf_fit` fits all of
them, all bands, at once; photutils' PSFPhotometry one band, in squares of 11 pixels, each star alone or in groups of
stars within 10.5 pixels. Each measurement is a fresh process of one thread; CPU without imports and the field.

Pull: (fitted - true flux) / its error of stars of S/N > 20, 1.4826 times its median absolute deviation. The stars below
S/N 5 that nobody fits make it wider than 1.

Targets: no more CPU per star when the area grows; under 2,000 MB.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from common import library_path, options, print_conditions, print_table, run_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

SCALE, GAIN, FWHM = 0.2, 40.0, 0.75
DENSITIES = (1e5, 3e5, 1e6)
FAINT, BRIGHT, CUT = 1.0, 4000.0, 5.0  # isolated S/N: of all stars, and least of those that are fitted
SLOPE = 0.3 / 0.4


def make_field(density, size, bands, seed=1):
    """Return a patch with noise of 1 per pixel and the stars' x, y, flux and S/N, brightest first."""
    from astropy.wcs import WCS
    from blendimpact.data.images import BandImage, Patch
    from blendimpact.data.psf import psf_object, psf_pixels
    from blendimpact.data.psf_shift import ShiftedPsf
    from blendimpact.stats.streams import stream

    model = {"kind": "kolmogorov", "fwhm": FWHM}
    psf = psf_object(model).drawImage(nx=161, ny=161, scale=SCALE, dtype=float).array
    rng = stream(seed, "crowded", int(density), size)
    count = rng.poisson(density * (size * SCALE / 3600) ** 2 * (FAINT / CUT) ** -SLOPE)
    snr = (BRIGHT**-SLOPE + rng.uniform(size=count) * (FAINT**-SLOPE - BRIGHT**-SLOPE)) ** (-1 / SLOPE)
    snr = np.sort(snr)[::-1]
    flux = snr / np.sqrt((psf**2).sum())
    x, y = rng.uniform(-0.5, size - 0.5, (2, count))
    light = np.zeros((size + 162, size + 162))
    for half, chosen in ((80, snr > 50), (20, snr <= 50)):
        shifted = ShiftedPsf(psf[80 - half : 81 + half, 80 - half : 81 + half], half)
        for i in np.array_split(np.flatnonzero(chosen), max(1, chosen.sum() // 200)):
            column, row = np.floor(x[i] + 0.5).astype(int), np.floor(y[i] + 0.5).astype(int)
            for image, c, r in zip(shifted.draw(x[i] - column, y[i] - row) * flux[i, None, None], column, row):
                light[r + 81 - half : r + 82 + half, c + 81 - half : c + 82 + half] += image
    light = light[81:-81, 81:-81]
    variance, wcs = 1 + light / GAIN, WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cd = ["RA---TAN", "DEC--TAN"], np.diag([-SCALE / 3600, SCALE / 3600])
    images = {
        band: BandImage(
            band,
            (light + np.sqrt(variance) * stream(seed, "noise", band).normal(size=light.shape)).astype(np.float32),
            variance.astype(np.float32),
            np.zeros(light.shape, np.uint8),
            psf_pixels(model, SCALE),
            wcs,
            27.0,
            GAIN,
            model,
        )
        for band in bands
    }
    return Patch(0, "zero", 0.0, images, 0), x, y, flux, snr


def work(name, density, size, bands):
    """Fit one field with one program; return what it took."""
    patch, x, y, flux, snr = make_field(density, size, bands)
    known = snr > CUT
    x, y, flux, snr = x[known], y[known], flux[known], snr[known]
    result = {"stars": len(x)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if name == "psf_fit":
        from blendimpact.fitting.stars import StarFit

        StarFit(patch, {}, x[:3], y[:3])  # imports and caches
        clock = time.process_time()
        fit = StarFit(patch, {}, x, y)
        result["cpu"] = time.process_time() - clock
        found, error = fit.flux[:, 0], fit.flux_err[:, 0]
        parents = np.bincount(fit.parent)
        result |= {
            "largest": int(parents.max()),
            "split": float(fit.flags["SPLIT"].mean()),
            "unfinished": float(fit.flags["NOT_CONVERGED"].mean()),
        }
    elif name == "daofind":
        from blendimpact.detect import DETECTORS

        detector = DETECTORS.create("daofind")
        detector.detect(make_field(1e4, 60, bands)[0], {})
        clock = time.process_time()
        result["found"] = len(detector.detect(patch, {}).table)
        result["cpu"] = time.process_time() - clock
        found = None
    elif name == "measure":
        from blendimpact.data.stamps import origins
        from blendimpact.deblend import DEBLENDERS
        from blendimpact.measure.psf import PsfWindow

        table = {"det_id": np.arange(len(x)), "x": x, "y": y}
        children = DEBLENDERS.create("none").deblend(patch, {}, table, 61)
        x0, y0 = origins(x, y, 61)
        clock = time.process_time()
        with np.errstate(invalid="ignore", divide="ignore"):
            window = PsfWindow(children.stamps[:, 0], patch.bands[bands[0]], x0, y0)
            window.fit(x - x0, y - y0)
        result["cpu"] = time.process_time() - clock
        found = None
    else:
        found, error, result["cpu"], result["largest"] = photutils_fit(patch, x, y, flux, name == "photutils grouped")
    if found is not None:
        pull = ((found - flux) / error)[(snr > 20) & np.isfinite(error) & (error > 0)]
        result["pull"] = float(1.4826 * np.median(np.abs(pull - np.median(pull)))) if len(pull) else None
    result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result["gained"] = result["peak"] - before / 1024
    return result


def photutils_fit(patch, x, y, flux, grouped):
    """Fit one band with photutils; return fluxes, errors, CPU seconds and the largest group."""
    import warnings

    from astropy.table import Table
    from blendimpact.data.psf_shift import unit_psf
    from photutils.psf import ImagePSF, PSFPhotometry, SourceGrouper

    image = patch.reference
    table = Table({"x": x, "y": y, "flux": flux})
    clock = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = PSFPhotometry(
            ImagePSF(unit_psf(image)), (11, 11), xy_bounds=2.0, grouper=SourceGrouper(10.5) if grouped else None
        )
        rows = fitter(image.science, error=np.sqrt(image.variance), init_params=table)
    spent = time.process_time() - clock
    rows.sort("id")
    return np.asarray(rows["flux_fit"]), np.asarray(rows["flux_err"]), spent, int(np.max(rows["group_size"]))


def in_process(folder, name, density, size, bands="i"):
    """Return what `work` returns, from a fresh process."""
    target = Path(folder) / "result.json"
    run_process(
        [sys.executable, __file__, "--worker", name, density, size, bands, target], cwd=folder, env=library_path()
    )
    return json.loads(target.read_text())


def line(label, r):
    """Return the cells of one measurement."""

    def show(key, form):
        return "-" if r.get(key) is None else format(r[key], form)

    return [
        label,
        r["stars"],
        f"{1e3 * r['cpu'] / max(r['stars'], 1):.2f}",
        show("largest", "d"),
        show("split", ".3f"),
        show("unfinished", ".3f"),
        show("pull", ".2f"),
        f"{r['peak']:.0f}",
    ]


def main():
    """Measure and print."""
    parser = options(__doc__, "one density, small fields")
    parser.add_argument("--size", type=int, default=900, help="side of a field in pixels")
    args = parser.parse_args()
    size, densities = (200, DENSITIES[1:2]) if args.quick else (args.size, DENSITIES)
    print_conditions()
    columns = ["program", "stars", "ms/star", "largest parent", "SPLIT", "NOT_CONVERGED", "pull", "peak MB"]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for density in densities:
            # A third of the side: photutils' time per star does not depend on the area.
            small = max(200, size // 3)
            rows = [
                line("psf_fit, 1 band", in_process(folder, "psf_fit", density, size)),
                line("psf_fit, 3 bands", in_process(folder, "psf_fit", density, size, "gri")),
                line("photutils alone, 1 band", in_process(folder, "photutils", density, small)),
                line("photutils grouped, 1 band", in_process(folder, "photutils grouped", density, small)),
                line("measure.psf, 1 band", in_process(folder, "measure", density, size)),
                line("daofind, 2 passes, 1 band", in_process(folder, "daofind", density, size)),
            ]
            print_table(
                f"{density:.0e} stars of S/N > 5 per square degree, {size * SCALE:.0f} arcsec "
                f"(photutils: {small * SCALE:.0f})",
                columns,
                rows,
            )
        rows = []
        for side in (100, 200) if args.quick else (size // 3, 2 * size // 3, size, 2 * size):
            r = in_process(folder, "psf_fit", densities[-1], side)
            rows.append([f"{side * SCALE:.0f}", *line("", r)[1:], f"{r['gained']:.0f}"])
        print_table(
            f"psf_fit by the side of the field, {densities[-1]:.0e} per square degree, 1 band",
            ["arcsec", *columns[1:], "MB gained"],
            rows,
            ["linear: the same ms/star for any area; target 2,000 MB"],
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _, _, worker, stars, side, letters, out = sys.argv
        Path(out).write_text(json.dumps(work(worker, float(stars), int(side), letters)))
    else:
        main()
