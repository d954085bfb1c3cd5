"""Deblenders side by side on the same blends: aperture fluxes, CPU per source, memory.

Blends of 2 to 6 bulge + disk galaxies and stars, 0.6 to 3 arcsec apart, gri, noise and seeing of LSST Y10, true
centres. Each deblender runs alone in a fresh process of one thread. Compared with them: no deblending, the bound
(true profiles, only fluxes fitted) and `scarlet2.Scene.fit` as its quick start shows.

Error: of the flux in a circle about the true centre, i band, relative to the source's own light there. For children,
against the same source alone in the same noise; for models, against the source's noiseless light. NMAD is 1.4826
times the median absolute deviation from the median; outliers are off by more than 20 per cent. Sources of
signal-to-noise ratio > 10 in i; blended: those with more than a tenth of blendedness.

Targets: joint fit 15 ms of CPU per source, its models' NMAD within 2.5 times the bound's; scarlet2 20 times less CPU
per source than Scene.fit, compile included, over 1,000 sources; memory flat and under 1.5 GB.
"""

import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from common import library_path, options, print_conditions, print_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import galsim
import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.data.images import BandImage, Patch
from blendimpact.data.psf import psf_pixels
from blendimpact.data.stamps import cut, origins
from blendimpact.stats.streams import stream

SCALE, ZERO_POINT, STAMP, DRAW = 0.2, 27.0, 61, 81
FWHM = {"g": 0.86, "r": 0.81, "i": 0.79}
SIGMA = {"g": 0.020, "r": 0.023, "i": 0.037}
RADII = {"0.6": 3.0, "1.2": 6.0}
PORTION = 25  # blends in a file: what a process holds at a time
OURS = ("joint_fit", "scarlet2_sersic", "scarlet2_free")


# --- blends ----------------------------------------------------------------------------------------


def draw_population(rng):
    """Return one source: magnitudes, bulge fractions, sizes and shapes."""
    i = 25.3 + np.log10(rng.uniform(10 ** (0.3 * (19.5 - 25.3)), 1)) / 0.3
    disk = np.exp(rng.normal(np.log(0.35 + 0.12 * max(0, 24.5 - i)), 0.35))
    shape = np.clip(rng.normal(0, 0.2, 2), -0.45, 0.45)
    fraction, r_i, g_r = rng.beta(1, 2.5), rng.normal(0.3, 0.2), rng.normal(0.6, 0.3)
    return {
        "star": rng.random() < 0.1,
        "mag": {"i": i, "r": i + r_i, "g": i + r_i + g_r},
        "disk": disk,
        "bulge": disk * rng.uniform(0.2, 0.6),
        "shape": shape,
        "fraction": {"i": min(1, 1.2 * fraction), "r": fraction, "g": 0.7 * fraction},
    }


def profile(source, band):
    """Return the GalSim object of a source, PSF included."""
    psf = galsim.Kolmogorov(fwhm=FWHM[band])
    flux = 10 ** (-0.4 * (source["mag"][band] - ZERO_POINT))
    if source["star"]:
        return psf.withFlux(flux)
    f, (g1, g2) = source["fraction"][band], source["shape"]
    disk = galsim.Exponential(half_light_radius=source["disk"]).shear(g1=g1, g2=g2)
    bulge = galsim.DeVaucouleurs(half_light_radius=source["bulge"]).shear(g1=0.6 * g1, g2=0.6 * g2)
    return galsim.Convolve(flux * ((1 - f) * disk + f * bulge), psf)


def blend(k):
    """Return patch k of the benchmark: pixels, positions, and each source's noiseless light (N, nbands, D, D)."""
    rng = stream(20181116, "benchmark", "deblenders", k)
    xy, count = [(0.0, 0.0)], rng.integers(2, 7)
    while len(xy) < count:
        x, y = xy[rng.integers(len(xy))]
        d, t = rng.uniform(0.6, 3.0) / SCALE, rng.uniform(0, 2 * np.pi)
        new = x + d * np.cos(t), y + d * np.sin(t)
        if min(np.hypot(new[0] - a, new[1] - b) for a, b in xy) > 0.6 / SCALE:
            xy.append(new)
    xy = np.array(xy) - np.mean(xy, axis=0)
    size = int(2 * np.abs(xy).max() + STAMP) | 1
    xy += size // 2 + rng.uniform(-0.5, 0.5, 2)
    sources = [draw_population(rng) for _ in xy]
    x0, y0 = origins(xy[:, 0], xy[:, 1], DRAW)
    light = np.zeros((len(xy), len(FWHM), DRAW, DRAW), np.float32)
    science = {}
    for b, band in enumerate(FWHM):
        total = np.zeros((size + 2 * DRAW,) * 2)
        for n, source in enumerate(sources):
            image = galsim.ImageD(DRAW, DRAW, scale=SCALE)
            profile(source, band).drawImage(image, center=galsim.PositionD(xy[n, 0] - x0[n] + 1, xy[n, 1] - y0[n] + 1))
            light[n, b] = image.array
            total[y0[n] + DRAW : y0[n] + 2 * DRAW, x0[n] + DRAW : x0[n] + 2 * DRAW] += image.array
        noise = rng.normal(0, SIGMA[band], (size, size))
        science[band] = total[DRAW:-DRAW, DRAW:-DRAW] + noise, noise
    return {"science": science, "xy": xy, "light": light}


def make_patch(made):
    """Return the `Patch` and the table of true centres."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-SCALE / 3600, SCALE / 3600]
    bands = {}
    for band, (science, _) in made["science"].items():
        model = {"kind": "kolmogorov", "fwhm": FWHM[band]}
        bands[band] = BandImage(
            band,
            science.astype(np.float32),
            np.full(science.shape, SIGMA[band] ** 2, np.float32),
            np.zeros(science.shape, np.uint8),
            psf_pixels(model, SCALE),
            wcs,
            ZERO_POINT,
            1e9,
            model,
        )
    x, y = made["xy"].T
    return Patch(0, "zero", 0.0, bands, 0), Table({"det_id": np.arange(len(x)) + 1, "x": x, "y": y})


# --- what is measured ------------------------------------------------------------------------------


def plugin(name):
    """Return a function of (patch, table, made) that gives children and models (or None)."""
    from blendimpact.data.children import Children
    from blendimpact.deblend import DEBLENDERS

    deblender = DEBLENDERS.create(name)
    if not hasattr(deblender, "fit"):
        return lambda patch, table, made: (deblender.deblend(patch, {}, table, STAMP).stamps, None)

    def run(patch, table, made):
        fit = deblender.fit(patch, {}, np.array(table["x"]), np.array(table["y"]))
        rows = np.arange(len(table))
        return [
            fit.canvas.children(Children.blank(patch, table, STAMP), rows, kind, 1.0).stamps
            for kind in ("residual", "model")
        ]

    return run


def bound(patch, table, made):
    """Fit only the fluxes of the true profiles."""
    n, size = len(table), patch.shape[0]
    x0, y0 = origins(made["xy"][:, 0], made["xy"][:, 1], DRAW)
    sx, sy = origins(made["xy"][:, 0], made["xy"][:, 1], STAMP)
    models = np.zeros((n, len(FWHM), STAMP, STAMP))
    children = models.copy()
    for b, image in enumerate(patch.bands.values()):
        full = np.stack([cut(made["light"][k, b], [-x0[k]], [-y0[k]], size)[0] for k in range(n)]).astype(float)
        flat = full.reshape(n, -1)
        flux = np.linalg.lstsq(flat.T, image.science.ravel().astype(float), rcond=None)[0]
        for k in range(n):
            own = flux[k] * full[k]
            rest = image.science - np.tensordot(flux, full, 1) + own
            models[k, b], children[k, b] = (cut(a, [sx[k]], [sy[k]], STAMP)[0] for a in (own, rest))
    return children, models


def scene_fit(patch, table, made, steps=200):
    """Fit with scarlet2 as its quick start does."""
    import jax.numpy as jnp
    import scarlet2 as sc2
    from numpyro.distributions import constraints

    sc2.set_validation(False)
    images = patch.bands.values()
    observation = sc2.Observation(
        np.stack([i.science for i in images]),
        np.stack([1 / i.variance for i in images]),
        psf=np.stack([i.psf for i in images]).astype(np.float32),
        channels=list(patch.bands),
    )
    frame = sc2.Frame.from_observations(observation)
    observation.match(frame)
    with sc2.Scene(frame) as scene:
        for x, y in made["xy"]:
            centre = jnp.array([y, x])
            try:
                spectrum, morphology = sc2.init.from_gaussian_moments(observation, centre, min_corr=0.99)
            except ValueError:
                spectrum = sc2.init.pixel_spectrum(observation, centre)
                morphology = sc2.init.compact_morphology()
            sc2.Source(centre, jnp.maximum(spectrum, 1e-3), morphology)  # a negative one would give NaN
    with sc2.Parameters(scene):
        for i, source in enumerate(scene.sources):
            sc2.Parameter(
                source.spectrum,
                name=f"spectrum_{i}",
                constraint=constraints.positive,
                stepsize=partial(sc2.relative_step, factor=0.05),
            )
            sc2.Parameter(source.morphology, name=f"morph_{i}", constraint=constraints.unit_interval, stepsize=0.1)
    fitted = scene.fit(observation, max_iter=steps, e_rel=1e-4, progress_bar=False)
    x0, y0 = origins(made["xy"][:, 0], made["xy"][:, 1], STAMP)
    total = np.asarray(observation.render(fitted()))
    science = np.stack([i.science for i in images])
    models, children = [], []
    for k, source in enumerate(fitted.sources):
        own = np.asarray(observation.render(fitted.evaluate_source(source)))
        for stamps, array in ((models, own), (children, science - total + own)):
            stamps.append([cut(a, [x0[k]], [y0[k]], STAMP)[0] for a in array])
    return np.array(children), np.array(models)


def errors(made, patch, children, models):
    """Return rows (S/N in i, blendedness, child and model errors in each circle) of the sources of a blend."""
    x0, y0 = origins(made["xy"][:, 0], made["xy"][:, 1], STAMP)
    inner = slice(DRAW // 2 - STAMP // 2, DRAW // 2 + STAMP // 2 + 1)
    own = made["light"][:, 2, inner, inner].astype(float)
    science, noise = (cut(a, x0, y0, STAMP) for a in made["science"]["i"])
    yy, xx = np.indices((STAMP, STAMP))
    rows = []
    for k, (x, y) in enumerate(made["xy"]):
        light = own[k]
        snr = np.sqrt((light**2).sum()) / SIGMA["i"]
        row = [snr, 1 - (light**2).sum() / (light * (science[k] - noise[k])).sum()]
        for radius in RADII.values():
            inside = np.hypot(xx + x0[k] - x, yy + y0[k] - y) < radius
            flux = light[inside].sum()
            row.append(((children[k][2] - noise[k])[inside].sum() - flux) / flux)
            row.append((models[k][2][inside].sum() - flux) / flux if models is not None else np.nan)
        rows.append(row)
    return rows


def work(name, folder, blends):
    """Run one deblender over the blends in this process; return what it took and its errors."""
    started = time.process_time()
    method = {"bound": bound, "Scene.fit": scene_fit}.get(name) or plugin(name)
    spent, counts, rows, memory = [time.process_time() - started], [0], [], []
    with open(os.devnull, "w") as silence:
        for portion in range(0, blends, PORTION):
            with open(Path(folder) / f"{portion}.pickle", "rb") as file:
                blended = pickle.load(file)[: blends - portion]
            for made in blended:
                patch, table = make_patch(made)
                clock, sys.stdout = time.process_time(), silence
                children, models = method(patch, table, made)
                sys.stdout = sys.__stdout__
                spent.append(time.process_time() - clock)
                counts.append(len(table))
                rows += errors(made, patch, children, models)
                memory.append(resident())
    return {
        "spent": spent,
        "counts": counts,
        "rows": rows,
        "memory": memory,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def resident():
    """Return the memory of this process in MB, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def in_process(name, folder, blends, cache):
    """Return what `work` returns, from a fresh process; None if it cannot run here."""
    target = Path(folder) / "result.json"
    environment = {
        **os.environ,
        **library_path(),
        "JAX_PLATFORMS": "cpu",
        "BLENDIMPACT_JAX_CACHE": str(cache),
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    done = subprocess.run(
        [sys.executable, __file__, "--worker", name, str(folder), str(blends), str(target)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(f"  {name} did not run: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    return json.loads(target.read_text())


def nmad(values):
    """Return 1.4826 times the median absolute deviation from the median."""
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def main():
    """Measure and print."""
    parser = options(__doc__, "40 blends, Scene.fit on 3")
    parser.add_argument("--blends", type=int, default=250, help="of about 4 sources")
    parser.add_argument("--scene-fit", type=int, default=12, metavar="N", help="blends that Scene.fit gets")
    parser.add_argument("--deblenders", nargs="+", default=["none", "sep", *OURS])
    args = parser.parse_args()
    blends, few = (40, 3) if args.quick else (args.blends, args.scene_fit)
    print_conditions()
    results = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for portion in range(0, blends, PORTION):
            with open(Path(folder) / f"{portion}.pickle", "wb") as file:
                pickle.dump([blend(k) for k in range(portion, min(blends, portion + PORTION))], file)
        results["bound"] = in_process("bound", folder, blends, folder)
        for name in args.deblenders:
            results[name] = in_process(name, folder, blends, Path(folder) / "cache")
            if name.startswith("scarlet2"):
                results[f"{name}, cached"] = in_process(name, folder, blends, Path(folder) / "cache")
        if few:
            results["Scene.fit"] = in_process("Scene.fit", folder, min(few, blends), folder)
    results = {name: r for name, r in results.items() if r}
    report(results)


def steady(result):
    """Return the CPU milliseconds per source of the second half of the blends."""
    half = (len(result["counts"]) - 1) // 2 + 1
    return 1e3 * sum(result["spent"][half:]) / sum(result["counts"][half:])


def report(results):
    """Print the tables."""
    flux, cost = [], []
    reference = results.get("Scene.fit")
    for name, r in results.items():
        rows, counts, spent = np.array(r["rows"]), np.array(r["counts"]), np.array(r["spent"])
        use = rows[:, 0] > 10
        line = [name, str(use.sum())]
        for column in (2, 3, 4, 5):
            values = rows[use, column]
            if not np.isfinite(values).all():
                line += ["-", "-"]
                continue
            blended = rows[use & (rows[:, 1] > 0.1), column]
            line += [f"{nmad(values):.4f}/{nmad(blended):.3f}", f"{(np.abs(values) > 0.2).mean():.3f}"]
        flux.append(line)
        each = 1e3 * spent.sum() / counts.sum()
        gain = "-"
        if reference and name.startswith("scarlet2"):
            gain = f"{steady(reference) / each:.0f}"
        third = len(r["memory"]) // 3
        cost.append(
            [
                name,
                str(counts.sum()),
                f"{each:.1f}",
                f"{steady(r):.1f}",
                gain,
                f"{r['peak']:.0f}",
                f"{r['memory'][-1] - r['memory'][max(0, third - 1)]:+.0f}",
            ]
        )
    print_table(
        "Relative flux errors (NMAD of all / of blended, and outliers)",
        [
            "deblender",
            "sources",
            *(f'{what} {r}"' if k == 0 else ">20 %" for r in RADII for what in ("child", "model") for k in (0, 1)),
        ],
        flux,
        ["a child of the bound lacks only the neighbours' flux errors: no deblender comes near it"],
    )
    print_table(
        "CPU and memory",
        [
            "deblender",
            "sources",
            "ms/source",
            "second half",
            "Scene.fit is x times",
            "peak MB",
            "MB gained in last 2/3",
        ],
        cost,
        [
            "ms/source includes imports of the deblender, compile and start; targets: joint_fit 15,"
            " scarlet2 20 times less than Scene.fit over 1,000 sources, 1,500 MB",
            "x times: Scene.fit's second half (its start weighs little over 1,000 sources) over ms/source",
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _, _, worker, where, number, out = sys.argv
        Path(out).write_text(json.dumps(work(worker, where, int(number)), default=float))
    else:
        main()
