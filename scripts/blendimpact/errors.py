"""The one kind of error a user is meant to read."""


class StudyError(Exception):
    """Something the user can mend: the message names the file, the key and the remedy.

    Parameters
    ----------
    what : str
        What is wrong.
    where : str, optional
        File, and key or column, that holds it.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, what, where=None, remedy=None):
        self.what, self.where, self.remedy = what, where, remedy
        parts = [f"{where}: {what}" if where else what]
        if remedy:
            parts.append(f"Remedy: {remedy}")
        super().__init__("\n  ".join(parts))


class MissingPackage(StudyError):
    """An optional package that was asked for is not installed: what needs it cannot be made, all else can."""


def all_of(errors, remedy=None):
    """Return one `StudyError` that says all of several; ``remedy`` is for them together."""
    if len(errors) == 1 and remedy is None:
        return errors[0]
    text = [f"{len(errors)} inputs cannot be used:"] if len(errors) > 1 else []
    bullet = "- " if len(errors) > 1 else ""
    text += [bullet + str(error).replace("\n", "\n  ") for error in errors]
    return StudyError("\n".join(text), None, remedy)
