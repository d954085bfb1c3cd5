"""Check the images and templates of a study before any job; imports little, for every run begins with it."""

from ...config.study import load_image


def check_pairs(settings):
    """Refuse a user's image and template that are no pair before any job; fetched ones are checked by theirs.

    Parameters
    ----------
    settings : iterable of dict
        Of all cases and scenarios.

    Raises
    ------
    StudyError
    """
    for name in sorted({chosen["image"] for chosen in settings if chosen["sky"] == "adopt"}):
        image = load_image(name)
        if image["template"] and "input" not in image:
            from . import template

            template.check_pair(image, template.template_spec(image), None)
