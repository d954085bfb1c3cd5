"""Pages made from ``templates``: complete or not there, each one file that needs no other."""

import base64
import gzip
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from ..data.whole import opened

WIDEST = 1800
"""Pixels: wider pictures are made so wide."""
LARGE = 100_000
"""Bytes: larger texts are compressed."""
KINDS = {".png": "image/png", ".pdf": "application/pdf", ".csv": "text/csv", ".json": "application/json"}


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
    with opened(path) as file:
        file.write(page)


def picture(path):
    """Return an image as a link that holds it, as WebP and at most `WIDEST` wide: a tenth of the PNG."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        if image.width > WIDEST:
            image = image.resize((WIDEST, round(WIDEST * image.height / image.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=80, method=4)
    return _uri("image/webp", buffer.getvalue())


def download(path):
    """Return (link, file name) of a file to be saved, which the link holds; large texts are compressed."""
    path, data = Path(path), Path(path).read_bytes()
    if len(data) > LARGE and path.suffix in (".csv", ".json"):
        return _uri("application/gzip", gzip.compress(data, mtime=0)), f"{path.name}.gz"
    return _uri(KINDS[path.suffix], data), path.name


def _uri(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
