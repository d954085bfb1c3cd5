"""Epochs: each patch is one visit with its own seeing and depth, and has a deep template of the same sky.

The bands of the patch are the visit, so everything downstream treats it as any patch. The template is drawn
from the same truth with its own PSF, noise and, per band, a shift that its WCS does not know (the
registration error). Stars that vary have the flux of the truth in the visit and another one in the template.
"""

import json
from dataclasses import replace

import numpy as np

from ..config.sky import Epochs
from ..data.catalogues import describe
from ..data.facts import EPOCHS_META
from ..data.images import BandImage
from ..data.psf import psf_pixels
from ..errors import StudyError
from ..stats.streams import stream
from .profiles import Stamp, add_stamp, draw_source, photon_noise

DEFAULTS = Epochs()
_GRID = 161


def visit_survey(survey, epochs, seed, case, index, visits=None):
    """Return the survey as it is in the visit of one patch.

    Parameters
    ----------
    survey : Survey
        Sky brightness and throughput; with ``visits.source`` "fixed" also seeing and depth.
    epochs : dict
        Settings: ``visits.source`` "fixed" or "sorcha".
    seed, case, index : int, str, int
        Name the stream, with the band.
    visits : Table, optional
        From `populations.visits.build_visits`.

    Returns
    -------
    Survey
        Each band with the seeing and depth of a visit of its own, drawn with equal weight. The PSF is Kolmogorov's;
        the exposure is the effective one that gives the depth, so that clouds and bright sky count as
        lost time, and what light there is has up to that much more photon noise than in a real visit.
    """
    if (epochs.get("visits") or {}).get("source", DEFAULTS.visits.source) == "fixed":
        return survey
    bands = {}
    for name, band in survey.bands.items():
        rows = np.flatnonzero(np.asarray(visits["band"]) == name) if visits is not None else []
        if not len(rows):
            raise StudyError(
                f"no simulated visit in band {name}", f"cases.{case}.epochs.visits", "use other bands, or source: fixed"
            )
        row = rows[int(stream(seed, case, index, name, "visit").uniform() * len(rows))]
        fwhm, depth = round(float(visits["fwhm"][row]), 2), float(visits["depth"][row])
        bands[name] = _with(band, fwhm, depth)
    return replace(survey, bands=bands)


def template_survey(survey, epochs):
    """Return the survey that the template is one of: another survey, or so many visits of this one.

    ``template.survey`` is a `Survey` here (the settings' name, loaded). With ``template.visits`` the exposure is
    that of ``survey`` times the number. ``template.fwhm`` (arcsec) replaces the seeing; the exposure stays, so that
    the depth follows.
    """
    options = epochs.get("template") or {}
    if "visits" in options:
        factor = options["visits"]
        bands = {name: replace(band, exposure=band.exposure * factor) for name, band in survey.bands.items()}
    else:
        bands = dict(options["survey"].bands)
        if options["survey"].pixel_scale != survey.pixel_scale:
            raise StudyError(
                f"the template has {options['survey'].pixel_scale} arcsec per pixel, the visit {survey.pixel_scale}",
                "epochs.template.survey",
                "use surveys of the same pixel scale",
            )
    if "fwhm" in options:
        bands = {n: replace(b, psf_model={**b.psf_model, "fwhm": options["fwhm"]}) for n, b in bands.items()}
    return replace(survey, bands=bands)


def _with(band, fwhm, depth):
    band = replace(band, psf_model={"kind": "kolmogorov", "fwhm": fwhm})
    factor = 10 ** (0.8 * (depth - band.depth()))
    return replace(band, exposure=band.exposure * factor, depth_5sigma=depth)


def add_template(patch, truth, template, epochs, seed, case):
    """Give a simulated patch its template.

    Parameters
    ----------
    patch : Patch
        From `simulate_patch`; not changed.
    truth : Table
        Of the patch; not changed.
    template : Survey
        From `template_survey`.
    epochs : dict
        ``registration``: rms in arcsec, of each axis, of the shift of the template (0.02); ``variables``: ``share``
        of the stars that vary (0.1), and ``amplitude``, the rms in mag by which the template's flux differs (0.3).
    seed, case : int, str
        Name the streams. Twins share the shift, and their noise up to its sign.

    Returns
    -------
    Patch
        With ``templates``: MODEL and NOISE (of the sky) as in the patch; a WCS that is the patch's.
    Table
        With ``template_flux_<band>`` and ``variable``.
    dict
        By band: ``fwhm``, ``depth`` of the visit, ``template_fwhm``, ``template_depth``, and ``shift`` [x, y] in
        arcsec: the place of a source on the template minus that in the visit.
    """
    truth = truth.copy()
    changes = _variations(truth, epochs.get("variables") or {}, list(patch.bands), seed, case, patch.index)
    truth["variable"] = np.array([int(source) in changes for source in truth["source_id"]], bool)
    facts, templates = {}, {}
    for number, (name, image) in enumerate(patch.bands.items()):
        factor = np.array([changes[int(s)][number] if int(s) in changes else 1.0 for s in truth["source_id"]])
        truth[f"template_flux_{name}"] = np.asarray(truth[f"flux_{name}"], float) * factor
        shift = epochs.get("registration", DEFAULTS.registration) * stream(
            seed, case, patch.index, name, "registration"
        ).standard_normal(2)
        templates[name] = _draw(patch, truth, name, template.bands[name], shift, seed, case)
        facts[name] = {
            "fwhm": image.psf_model["fwhm"],
            "depth": _depth(image),
            "template_fwhm": template.bands[name].fwhm,
            "template_depth": _depth(templates[name]),
            "shift": [round(float(v), 5) for v in shift],
        }
    describe(
        truth,
        {
            "variable": (None, "star that has another flux in the template"),
            **{f"template_flux_{b}": ("nJy", f"total flux in the template, {b}") for b in patch.bands},
        },
    )
    return replace(patch, templates=templates), truth, facts


def plant(patch, truth, facts, seed, case):
    """Give the template what was injected and does not change: the hosts of supernovae.

    Parameters
    ----------
    patch, truth : Patch, Table
        After the injection; the truth is changed in place. Rows with ``planted`` of 1 become static sources.
    facts : dict
        Of the patch, by band: ``shift`` (`add_template`).
    seed, case : int, str
        Name the streams of the template's photons.

    Returns
    -------
    Patch
        With other templates; as it is where nothing was planted.
    """
    if "planted" not in truth.colnames or not (rows := np.flatnonzero(np.asarray(truth["planted"]) == 1)).size:
        return patch
    truth["injection_id"][rows], truth["role"][rows], truth["variable"][rows] = -1, "scene", False
    templates = {}
    for name, template in patch.templates.items():
        truth[f"template_flux_{name}"][rows] = truth[f"flux_{name}"][rows]
        model, photons = np.zeros(patch.shape), np.zeros(patch.shape)
        dx, dy = (v / template.pixel_scale for v in facts[name]["shift"])
        for k in rows:
            source = {n: truth[n][k] for n in truth.colnames}
            stamp = draw_source({**source, "x": source["x"] + dx, "y": source["y"] + dy}, template, patch.shear)
            rng = stream(seed, case, patch.index, int(source["source_id"]), name, "template photons")
            add_stamp(model, stamp)
            add_stamp(photons, Stamp(photon_noise(stamp, template.gain, rng) * patch.noise_sign, stamp.x0, stamp.y0))
        planes = {**template.planes, "MODEL": (template.planes["MODEL"] + model).astype(np.float32)}
        templates[name] = replace(
            template,
            science=(template.science + model + photons).astype(np.float32),
            variance=(template.variance + np.maximum(model, 0) / template.gain).astype(np.float32),
            planes=planes,
        )
    return replace(patch, templates=templates)


def _depth(image):
    """Return the 5-sigma depth of an image with white sky noise, AB, from its NOISE plane's closed form."""
    sigma = float(np.sqrt(np.median(image.variance - np.maximum(image.planes["MODEL"], 0) / image.gain)))
    area = 1 / np.sum(psf_pixels(image.psf_model, image.pixel_scale, _GRID) ** 2)
    return round(float(image.zero_point - 2.5 * np.log10(5 * sigma * np.sqrt(area))), 4)


def _variations(truth, options, bands, seed, case, index):
    """Return {source_id: factors on the flux, by band} of the stars that vary."""
    share, amplitude = (options.get(key, getattr(DEFAULTS.variables, key)) for key in ("share", "amplitude"))
    out = {}
    for source in np.asarray(truth["source_id"])[np.asarray(truth["kind"]) == "star"]:
        rng = stream(seed, case, index, int(source), "variability")
        if rng.uniform() < share:
            out[int(source)] = 10 ** (0.4 * amplitude * rng.standard_normal(len(bands)))
    return out


def _draw(patch, truth, name, band, shift, seed, case):
    image = patch.bands[name]
    blank = BandImage(
        band=name,
        science=image.science,
        variance=image.variance,
        mask=np.zeros_like(image.mask),
        psf=psf_pixels(band.psf_model, band.pixel_scale),
        wcs=image.wcs.deepcopy(),
        zero_point=band.zero_point,
        gain=band.gain,
        psf_model=dict(band.psf_model),
    )
    columns = {n: truth[n].tolist() for n in truth.colnames}
    columns[f"flux_{name}"] = columns[f"template_flux_{name}"]
    columns["x"] = (np.asarray(truth["x"], float) + shift[0] / band.pixel_scale).tolist()
    columns["y"] = (np.asarray(truth["y"], float) + shift[1] / band.pixel_scale).tolist()
    model = np.zeros(patch.shape)
    for values in zip(*columns.values()):
        add_stamp(model, draw_source(dict(zip(columns, values)), blank, patch.shear))
    key = (case, patch.index, name)
    sky = band.sky_sigma * patch.noise_sign * stream(seed, *key, "template sky").standard_normal(patch.shape)
    # One draw for all sources: the template's photons are never told apart.
    photons = patch.noise_sign * stream(seed, *key, "template photons").standard_normal(patch.shape)
    photons *= np.sqrt(np.maximum(model, 0) / band.gain)
    return replace(
        blank,
        science=(model + photons + sky).astype(np.float32),
        variance=(band.sky_sigma**2 + np.maximum(model, 0) / band.gain).astype(np.float32),
        planes={"MODEL": model.astype(np.float32), "NOISE": sky.astype(np.float32)},
    )


def to_meta(facts):
    """Return the facts of all patches, {patch: {band: facts}}, as metadata of a table."""
    return {EPOCHS_META: json.dumps(facts)}


def without_transients(truth):
    """Say in a truth table, in place, that the template holds nothing of what was injected."""
    injected = np.asarray(truth["injection_id"]) >= 0
    for name in truth.colnames:
        if name.startswith("template_flux_"):
            truth[name][injected] = 0.0
    if "variable" in truth.colnames:
        truth["variable"][injected] = False
