"""Pages made from ``templates``: links, images, files that are complete or not there."""

import base64
import os
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def write(path, template, **context):
    """Write a page; ``template`` is one of ``templates``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(**context)
    Path(f"{path}.part").write_text(page, encoding="utf-8")
    os.replace(f"{path}.part", path)


def relative(target, page):
    """Return a link to a file from a page."""
    return Path(os.path.relpath(Path(target).resolve(), Path(page).resolve().parent)).as_posix()


def data_uri(path):
    """Return an image as a link that holds it."""
    kind = {".png": "png", ".svg": "svg+xml", ".jpg": "jpeg"}[Path(path).suffix]
    return f"data:image/{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"
