"""Engines of difference imaging side by side: CPU seconds per megapixel, peak memory, growth with the image.

Two epochs of one synthetic sky (stars and galaxies, 25 per arcmin^2, Gaussian seeing of 1.0 and 0.7 arcsec at 0.2
arcsec per pixel) are subtracted, searched above 5 sigma and measured at 100 places. Each engine and size runs in a
fresh process of one thread. CPU is that of the second call: the first compiles and fills caches, and stands beside.
Growth: CPU of the largest image over that of the smallest, divided by the ratio of their pixels; 1 is linear, less has
a fixed cost.

Visits: one template is subtracted from more and more visits of a patch, each with noise of its own, and the differences
are searched (points, trails, comae) and measured. CPU per visit that does not grow is linear.

Quality on the same images: mean squared residual over its variance in the footprints of the static sources; 1 is noise.
"""

import json
import resource
import subprocess
import sys
import time
from os import environ
from pathlib import Path

from common import library_path, options, print_conditions, print_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
from astropy.wcs import WCS
from blendimpact.data.images import BandImage
from blendimpact.stats.streams import stream

SCALE, SEEING, NOISE = 0.2, (1.0, 0.7), (1.0, 0.5)
DENSITY = 25.0  # sources per arcmin^2
VISIT_SIZE = 330
ENGINES = {"none": {}, "truth": {}, "zogy": {}, "alard_lupton": {}, "alard_lupton, order 1": {"order": 1}, "sfft": {}}


def sigma_of(fwhm):
    """Return the standard deviation in pixels of a Gaussian of a FWHM in arcsec."""
    return fwhm / SCALE / np.sqrt(8 * np.log(2))


def epochs(size, visit=0):
    """Return science of one visit, template, and the noiseless sky under the science PSF."""
    rng = stream(20181116, "benchmark", "subtraction", size)
    number = round(DENSITY * (size * SCALE / 60) ** 2)
    x, y = rng.uniform(0, size, (2, number))
    flux = 10 ** rng.uniform(2, 4.5, number)
    own = np.where(rng.random(number) < 0.3, 0, rng.uniform(1, 3, number))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-SCALE / 3600, SCALE / 3600]
    images, skies = [], []
    for name, fwhm, noise in zip(("science", "template"), SEEING, NOISE):
        sky = np.zeros((size, size))
        for a, b, f, s in zip(x, y, flux, np.hypot(own, sigma_of(fwhm))):
            reach = int(7 * s) + 1
            i, j = (np.arange(max(0, int(c) - reach), min(size, int(c) + reach + 1)) for c in (a, b))
            lines = [np.exp(-0.5 * ((k - c) / s) ** 2) for k, c in ((j, b), (i, a))]
            sky[j[0] : j[-1] + 1, i[0] : i[-1] + 1] += f / (2 * np.pi * s**2) * np.outer(*lines)
        offset = np.arange(-20, 21)
        line = np.exp(-0.5 * (offset / sigma_of(fwhm)) ** 2)
        psf = np.outer(line, line) / line.sum() ** 2
        variance = noise**2 + 0.01 * sky
        key = (name, size, visit) if visit and name == "science" else (name, size)
        pixels = sky + np.sqrt(variance) * stream(20181116, "benchmark", *key).standard_normal(sky.shape)
        images.append(
            BandImage(
                "i",
                pixels.astype(np.float32),
                variance.astype(np.float32),
                np.zeros(sky.shape, np.uint8),
                psf,
                wcs,
                31.4,
                1e9,
            )
        )
        skies.append(sky)
    return *images, skies[0]


def work(name, size):
    """Run one engine on one size in this process; return what it took and what it left."""
    from blendimpact.search.filters import forced, search
    from blendimpact.subtract import SUBTRACTORS

    science, template, static = epochs(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    engine = SUBTRACTORS.create(name.partition(",")[0], ENGINES[name])
    spent = []
    for _ in range(2):
        clock = time.process_time()
        difference = engine.subtract(science, template, static=static)
        spent.append(time.process_time() - clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    clock = time.process_time()
    found = len(search(difference, 5))
    searched = time.process_time() - clock
    clock = time.process_time()
    rng = stream(20181116, "benchmark", "places", size)
    forced(difference, *rng.uniform(50, size - 50, (2, 100)))
    measured = time.process_time() - clock
    chi2, number = difference.chi2(static > 3)
    return {
        "first": spent[0],
        "again": spent[1],
        "peak": peak,
        "added": peak - before,
        "search": searched,
        "forced": measured,
        "chi2": chi2,
        "pixels": number,
        "found": found,
        "alarms": difference.false_alarms(5),
        "status": difference.status,
    }


def follow(name, size, number):
    """Subtract, search and measure ``number`` visits in this process; return what it took."""
    from blendimpact.measure.difference import activity, fit_points
    from blendimpact.search.filters import bank, search
    from blendimpact.subtract import SUBTRACTORS

    engine = SUBTRACTORS.create(name.partition(",")[0], ENGINES[name])
    sky = epochs(size, 1)
    engine.subtract(*sky[:2], static=sky[2])  # what is compiled or cached is not of the visits
    spent, found = 0.0, 0
    for visit in range(1, number + 1):
        science, template, static = epochs(size, visit)
        clock = time.process_time()
        difference = engine.subtract(science, template, static=static)
        candidates = search(difference, 5, *bank(difference, SCALE))
        activity(difference, candidates["x"], candidates["y"], 10.0)
        fit_points(difference, candidates["x"], candidates["y"])
        spent += time.process_time() - clock
        found += len(candidates)
    return {"cpu": spent, "found": found, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def in_process(*call):
    """Return what `work`, or with three arguments `follow`, returns, from a fresh process; None if it cannot run."""
    name = call[0]
    done = subprocess.run(
        [sys.executable, __file__, "--worker", *map(str, call)],
        text=True,
        capture_output=True,
        env={**environ, **library_path()},
    )
    if done.returncode:
        print(f"  {name} did not run: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure and print."""
    parser = options(__doc__, "256 and 512 pixels")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="sides in pixels, default 512 1024")
    parser.add_argument("--visits", type=int, nargs="+", metavar="N", help="numbers of visits, default 1 4 16")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="NAME")
    args = parser.parse_args()
    sizes = sorted(set(args.sizes or ((256, 512) if args.quick else (512, 1024))))
    if len(sizes) < 2 or sizes[0] < 128:
        parser.error("--sizes needs two different numbers, 128 at least: growth is a ratio")
    visits = sorted(set(args.visits or ((1, 4) if args.quick else (1, 4, 16))))
    if visits[0] < 1:
        parser.error("--visits needs positive numbers")
    print_conditions()
    cost, quality, night = [], [], []
    for name in args.engines:
        found = {size: in_process(name, size) for size in sizes}
        if not all(found.values()):
            continue
        if name not in ("none", "truth"):
            many = {n: in_process(name, VISIT_SIZE, n) for n in visits}
            if all(many.values()):
                per_visit = [many[n]["cpu"] / n for n in visits]
                night.append(
                    [
                        name,
                        *(f"{s:.2f}" for s in per_visit),
                        f"{per_visit[-1] / per_visit[0]:.2f}",
                        *(f"{many[n]['peak']:.0f}" for n in (visits[0], visits[-1])),
                        str(many[visits[-1]]["found"]),
                    ]
                )
        low, high = found[sizes[0]], found[sizes[-1]]
        million = {size: size**2 / 1e6 for size in sizes}
        growth = high["again"] / max(low["again"], 1e-9) / (sizes[-1] / sizes[0]) ** 2
        cost.append(
            [
                name,
                *(f"{found[s]['again'] / million[s]:.2f}" for s in sizes),
                f"{growth:.2f}",
                f"{high['first']:.1f}",
                f"{high['search'] / million[sizes[-1]]:.2f}",
                f"{10 * high['forced']:.2f}",
                f"{high['peak']:.0f}",
                f"{high['added']:.0f}",
            ]
        )
        error = np.sqrt(2 / high["pixels"]) if high["pixels"] else np.nan
        quality.append(
            [
                name,
                f"{high['chi2']:.3f}",
                f"{error:.3f}",
                str(high["pixels"]),
                str(high["found"]),
                f"{high['alarms']:.2f}",
            ]
        )
    print_table(
        "CPU seconds per megapixel, and memory",
        [
            "engine",
            *(f"{s} px" for s in sizes),
            "growth",
            f"first call, {sizes[-1]} px, s",
            "search",
            "ms per forced flux",
            "peak MB",
            "of that added",
        ],
        cost,
        [f"search, forced fluxes and memory: {sizes[-1]} px; target of memory: 2000 MB"],
    )
    print_table(
        f"CPU seconds per visit of {VISIT_SIZE} x {VISIT_SIZE} pixels: subtracted, searched for points, trails "
        "and comae, candidates measured",
        [
            "engine",
            *(f"{n} visits" for n in visits),
            "last / first",
            f"MB, {visits[0]}",
            f"MB, {visits[-1]}",
            "candidates",
        ],
        night,
        ["target: last / first of 1, and no growth of memory"],
    )
    print_table(
        f"Residuals at {sizes[-1]} px",
        ["engine", "chi2 of footprints", "its error for white noise", "pixels", "beyond 5 sigma", "of noise"],
        quality,
        ["there is nothing to find: all beyond 5 sigma are residuals or noise"],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        run = follow if len(sys.argv) > 4 else work
        print(json.dumps(run(sys.argv[2], *map(int, sys.argv[3:])), default=float))
    else:
        main()
