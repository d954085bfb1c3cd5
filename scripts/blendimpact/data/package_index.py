"""Find one archive on the package indexes that pip is configured for, and get it, without running what is in it.

`pip download` runs the build backend of a source archive to read its metadata, and fetches what that needs to run,
unpinned. The archive alone is a link of the index's page of the package (https://packaging.python.org, simple
repository API): that page is read here, as HTML or JSON.
"""

import ast
import base64
import html.parser
import json
import netrc
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from ..errors import StudyError
from . import lifetime

PYPI = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ENDINGS = {"sdist": (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz"), "wheel": (".whl",)}
_BLOCK = 1 << 20


class Link(NamedTuple):
    """An archive that an index offers; ``sha256`` is what it says of it, or None."""

    url: str
    name: str
    sha256: str | None


class NotToBeHad(Exception):
    """No index gave the archive."""


def pip_settings():
    """Return the settings that pip has of its files and its environment: a dict of str to str.

    Raises
    ------
    StudyError
        If there is no pip, or it cannot read its files.
    """
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lifetime.end_with_parent)
    if "No module named pip" in done.stderr:
        raise StudyError(
            "this Python has no pip",
            sys.executable,
            "python -m ensurepip, or make the environment again with `make env`",
        )
    if done.returncode:
        raise StudyError(f"pip cannot read its settings ({done.stderr.strip()[-300:]})", "pip config list")
    found = {"global": {}, "download": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found:
            found[section][name] = ast.literal_eval(value)
    return found["global"] | found["download"] | found[":env:"]


class Indexes:
    """The package indexes, and pages and folders of links, that pip would look in.

    Parameters
    ----------
    settings : dict of str to str, optional
        As `pip_settings` gives them, which is the default.
    """

    def __init__(self, settings=None):
        self._settings = pip_settings() if settings is None else settings
        self.indexes = []
        if self._settings.get("no-index", "0").lower() in ("0", "false", "no", "off", "n", "f", ""):
            self.indexes = [self._settings.get("index-url", PYPI), *self._words("extra-index-url")]
        self.pages = [_url(place) for place in self._words("find-links")]

    def get(self, package, version, kind, sha256, folder):
        """Download the archive of a package with this checksum, as far as links tell it, into a folder.

        Parameters
        ----------
        package, version : str
        kind : str
            "sdist" or "wheel".
        sha256 : str
        folder : path-like

        Returns
        -------
        pathlib.Path
            Whose checksum is to be verified: a link need not tell it.

        Raises
        ------
        NotToBeHad
            With the reason, which names no place.
        """
        links, reasons = [], []
        pages = [f"{index.rstrip('/')}/{_normal(package)}/" for index in self.indexes]
        for page in [*pages, *self.pages]:
            try:
                links += self.links(page)
            except (OSError, ValueError, LookupError, TypeError) as error:  # whatever stands there
                reasons.append(_words_of(error))
        wanted = [link for link in links if _is(link.name, package, version, kind)]
        fitting = [link for link in wanted if link.sha256 in (None, sha256)] or wanted
        for link in sorted(fitting, key=lambda link: link.sha256 is None):
            path = Path(folder) / PurePosixPath(link.name).name
            try:
                with self._open(link.url) as answer, open(path, "wb") as file:
                    while block := answer.read(_BLOCK):
                        file.write(block)
                return path
            except urllib.error.URLError as error:
                reasons.append(_words_of(error))
        raise NotToBeHad("; ".join(dict.fromkeys(reasons)) or "no index has it")

    def links(self, page):
        """Return the links to files of a page or a local folder."""
        parts = urlsplit(page)
        if parts.scheme == "file":
            folder = Path(urllib.request.url2pathname(parts.path))
            if folder.is_dir() and not (folder / "index.html").is_file():
                return [Link(path.as_uri(), path.name, None) for path in sorted(folder.iterdir()) if path.is_file()]
            page = (folder / "index.html").as_uri() if folder.is_dir() else page
        with self._open(page, Accept=_ACCEPT) as answer:
            kind, base, text = answer.headers.get_content_type(), answer.url, answer.read().decode("utf-8")
        if kind.endswith("+json"):
            files = json.loads(text)["files"]
            return [Link(urljoin(base, f["url"]), f["filename"], f.get("hashes", {}).get("sha256")) for f in files]
        parser = _Anchors()
        parser.feed(text)
        return [_link(urljoin(urljoin(base, parser.base), href)) for href in parser.hrefs]

    def _words(self, name):
        return self._settings.get(name, "").split()

    def _open(self, url, **headers):
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers=headers)
        if login := user or _netrc(parts.hostname):
            code = base64.b64encode(unquote(login).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {code}")
        secure = parts.scheme == "https"
        handlers = [urllib.request.HTTPSHandler(context=self._context(parts))] if secure else []
        if proxy := self._settings.get("proxy"):
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        seconds = float(self._settings.get("timeout", self._settings.get("default-timeout", 15)))
        return urllib.request.build_opener(*handlers).open(request, timeout=seconds)

    def _context(self, parts):
        certificates = [os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
        chosen = self._settings.get("cert") or next(filter(None, certificates), None)
        where = {"capath" if os.path.isdir(chosen) else "cafile": chosen} if chosen else {}
        context = ssl.create_default_context(**where)
        if {parts.hostname, f"{parts.hostname}:{parts.port}"} & set(self._words("trusted-host")):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if own := self._settings.get("client-cert"):
            context.load_cert_chain(own)
        return context


class _Anchors(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.hrefs, self.base = [], ""

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.hrefs.append(href)
        elif tag == "base" and href:
            self.base = href


def _link(url):
    plain, fragment = urldefrag(url)
    told = re.search(r"sha256=([0-9a-f]{64})", fragment)
    return Link(plain, unquote(PurePosixPath(urlsplit(plain).path).name), told and told[1])


def _url(place):
    return place if re.match(r"(https?|file)://?", place) else Path(place).expanduser().absolute().as_uri()


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _is(name, package, version, kind):
    """Return whether a file name is that of an archive of this package, version and kind."""
    ending = next((end for end in _ENDINGS[kind] if name.endswith(end)), None)
    if ending is None:
        return False
    stem, pin = _normal(name.removesuffix(ending)), _normal(f"{package}-{version}")
    return stem == pin or (kind == "wheel" and stem.startswith(f"{pin}-"))


def _netrc(host):
    try:
        known = netrc.netrc().authenticators(host) if host else None
    except (OSError, netrc.NetrcParseError):
        return None
    return known and f"{known[0]}:{known[2]}"


def _words_of(error):
    """Return what an error says, without places."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", None)
    return getattr(reason, "strerror", None) or getattr(error, "strerror", None) or type(reason or error).__name__
