"""Check the injection catalogues of a study before any job; without one nothing is imported or read."""

from pathlib import Path

from ..config.real_image import load_image
from ..errors import StudyError

MOST_BYTES = 1e8
"""Larger files are read by their jobs alone."""


def check_catalogues(settings):
    """Read each catalogue as its jobs will, and refuse what they would refuse.

    Parameters
    ----------
    settings : iterable of dict
        Of all cases and scenarios.

    Returns
    -------
    list of str
        Sentences on what is not used, and on how many sources lie on a user's image. (A fetched image is not there
        yet: its jobs count.)

    Raises
    ------
    StudyError
    """
    said = []
    for chosen in settings:
        inject = chosen["inject"] or {}
        if inject.get("catalogue"):
            said += _check(chosen, inject)
    return list(dict.fromkeys(said))


def _check(chosen, inject):
    from ..sky.adopt.planes import read_facts
    from .user_catalogue import UserCatalogue

    path = inject["catalogue"]
    if Path(path).stat().st_size > MOST_BYTES:
        return [f"{path}: more than {MOST_BYTES / 1e6:.0f} MB, so that only its jobs read and check it"]
    catalogue, scale = UserCatalogue(path, chosen), chosen["pixel_scale"] or 1.0
    sources = catalogue.read(scale)
    said = list(sources.meta["notes"])
    gone = sorted({str(stamp) for stamp in sources["stamp"] if stamp and not Path(str(stamp)).is_file()})
    if gone:
        raise StudyError(f"the stamp {gone[0]} is not there", path, "give paths relative to the catalogue's folder")
    image = load_image(chosen["image"]) if chosen["sky"] == "adopt" else {"input": None}
    if "input" not in image:
        hdu, facts = read_facts(image, None)
        number, of = catalogue.number_on([(facts["wcs"], hdu.shape)], scale)
        said.append(f"{path}: {number} of {of} sources lie on the image {chosen['image']}")
    return said
