"""Check the images and templates of a study before any job; imports little, for every run begins with it."""

from pathlib import Path

from ...config.files import find, shown
from ...config.real_image import FROM_HERE, bands_of, image_files, load_image
from ...errors import StudyError, all_of


def check_images(settings):
    """Refuse a user's images that cannot be used before any job; fetched ones are checked by theirs.

    Of each image and its template the files must be there, and their headers say what the entry leaves to them: size,
    WCS, zero point, gain. The file of a PSF must hold one. A template must have the pixels of its image, and so must
    all bands of an image.

    Parameters
    ----------
    settings : iterable of dict
        Of all cases and scenarios.

    Raises
    ------
    StudyError
        That names all images that cannot be used.
    """
    refused, used = [], {}
    for chosen in settings:
        if chosen["sky"] == "adopt":
            used.setdefault(chosen["image"], {}).update(dict.fromkeys(chosen.get("bands", ())))
    for name in sorted(used):
        try:
            _check(name, load_image(name), list(used[name]))
        except StudyError as error:
            refused.append(error)
    if refused:
        raise all_of(refused)


def _check(name, image, used):
    """Check the files of an image, and the headers of its own, of its planes and of its template, or its bands."""
    used = used or list(bands_of(image))
    for file in image_files(image, used):
        if not Path(file).is_file():
            raise StudyError(f"the file {file} is not there", shown(find("images", name)), FROM_HERE)
    if "input" in image:
        return
    from . import bands, template

    if "bands" in image:
        for band, entry in bands.chosen_bands(image, used).items():
            with bands.keys_of_band(image, band):
                _check_planes(entry)
        bands.check_bands(image, None, used)
        return
    earlier = template.template_spec(image)
    _check_planes(image)
    if earlier:
        with template.keys_of_template(image):
            _check_planes(earlier)
        template.check_pair(image, earlier, None)


def _check_planes(spec):
    """Check the headers of one image and its planes, and the file of its PSF."""
    from . import planes

    planes.check_planes(spec, None)
    if spec["psf"]["kind"] == "file":
        from .given_psf import check_file  # GalSim is slow to import

        check_file(spec)
