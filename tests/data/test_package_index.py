"""Archives are found as pip would find them: by its settings, on simple indexes of any form, in folders."""

import functools
import hashlib
import http.server
import json
import os
import threading

import pytest
from blendimpact.data.package_index import PYPI, Indexes, NotToBeHad, pip_settings

DATA = b"an archive " * 1000
SHA = hashlib.sha256(DATA).hexdigest()
WANTED = ("Toy.Data", "1.0", "sdist", SHA)


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, whose JSON pages as PyPI does; with ``login`` only to who has it."""

    login = None

    def do_GET(self):
        if self.login and self.headers.get("Authorization") != self.login:
            return self.send_error(401)
        return super().do_GET()

    def guess_type(self, path):
        return "application/vnd.pypi.simple.v1+json" if path.endswith(".json") else super().guess_type(path)

    def send_head(self):
        page = self.translate_path(self.path) + "/index.json"
        self.path += "/index.json" if os.path.exists(page) else ""
        return super().send_head()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Serve a folder; return it and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Handler", (Server,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder)) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{serving.server_port}", handler
        serving.shutdown()


def page(folder, text=None, files=(), name="toy-data"):
    """Write the page of the package in an index: HTML, or JSON of files."""
    (folder / "simple" / name).mkdir(parents=True)
    if text is None:
        (folder / "simple" / name / "index.json").write_text(json.dumps({"files": list(files)}))
    else:
        (folder / "simple" / name / "index.html").write_text(text)


def got(settings, folder, wanted=WANTED):
    folder.mkdir()
    return Indexes(settings).get(*wanted, folder).read_bytes()


def test_a_link_of_an_html_page(server, tmp_path):
    folder, address, _ = server
    (folder / "files").mkdir()
    (folder / "files" / "toy_data-1.0.tar.gz").write_bytes(DATA)
    page(
        folder,
        '<a href="../../files/toy_data-1.0-py3-none-any.whl">a wheel</a><a>none</a>'
        '<a href="../../files/toy_data-1.0.1.tar.gz">another version</a>'
        f'<a href="../../files/toy_data-1.0.tar.gz#sha256={SHA}" data-requires-python="&gt;=3.99">x</a>',
    )
    assert got({"index-url": f"{address}/simple"}, tmp_path / "a") == DATA
    assert got({"index-url": f"{address}/simple/"}, tmp_path / "b") == DATA
    assert got({"index-url": f"{folder.as_uri()}/simple"}, tmp_path / "c") == DATA


def test_a_link_of_a_json_page_whose_checksum_is_the_pinned_one(server, tmp_path):
    folder, address, _ = server
    (folder / "right.tar.gz").write_bytes(DATA)
    files = [
        {"url": "/wrong", "filename": "toy-data-1.0.tar.gz", "hashes": {"sha256": "0" * 64}},
        {"url": "/right.tar.gz", "filename": "toy-data-1.0.tar.gz", "hashes": {"sha256": SHA}},
    ]
    page(folder, files=files)
    nowhere = f"{address}/nowhere"
    assert got({"index-url": nowhere, "extra-index-url": f"{nowhere} {address}/simple"}, tmp_path / "a") == DATA


def test_a_wrong_checksum_is_downloaded_for_the_caller_to_refuse(server, tmp_path):
    folder, address, _ = server
    (folder / "other").write_bytes(b"other")
    page(folder, files=[{"url": "/other", "filename": "toy-data-1.0.zip", "hashes": {"sha256": "0" * 64}}])
    assert got({"index-url": f"{address}/simple"}, tmp_path / "a") == b"other"


def test_a_login_of_the_address_or_of_netrc(server, tmp_path, monkeypatch):
    folder, address, handler = server
    handler.login = "Basic bWU6c2VjcmV0IQ=="  # me:secret!
    (folder / "x").write_bytes(DATA)
    inside = address.replace("//", "//me:secret%21@")
    page(folder, files=[{"url": "/x", "filename": "toy-data-1.0.zip"}])
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NotToBeHad, match="^HTTP 401$"):
        got({"index-url": f"{address}/simple"}, tmp_path / "a")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret!\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert got({"index-url": f"{address}/simple"}, tmp_path / "b") == DATA
    (tmp_path / ".netrc").unlink()
    (folder / "simple/toy-data/index.json").write_text(
        json.dumps({"files": [{"url": f"{inside}/x", "filename": "toy-data-1.0.zip"}]})
    )
    assert got({"index-url": f"{inside}/simple"}, tmp_path / "c") == DATA


def test_folders_of_archives(tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "Toy_Data-1.0-py3-none-any.whl").write_bytes(DATA)
    settings = {"no-index": "true", "find-links": f"{tmp_path}/none {tmp_path}/links"}
    assert got(settings, tmp_path / "a", ("toy-data", "1.0", "wheel", SHA)) == DATA
    assert got(
        {**settings, "find-links": (tmp_path / "links").as_uri()}, tmp_path / "b", ("toy-data", "1.0", "wheel", SHA)
    )
    with pytest.raises(NotToBeHad, match="No such file") as error:
        got(settings, tmp_path / "c")
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("what", ["no page", "not utf-8", "no files", "nothing listens"])
def test_what_cannot_be_had_says_why_and_names_no_place(server, tmp_path, what):
    folder, address, _ = server
    if what == "not utf-8":
        page(folder, "x")
        (folder / "simple/toy-data/index.html").write_bytes(b"\xff\xfe")
    elif what == "no files":
        page(folder, "{}")
        (folder / "simple/toy-data/index.html").rename(folder / "simple/toy-data/index.json")
    elif what == "nothing listens":
        address = "http://127.0.0.1:9"
    with pytest.raises(NotToBeHad) as error:
        got({"index-url": f"{address}/simple"}, tmp_path / "a")
    assert str(error.value) and "127.0.0.1" not in str(error.value) and "/" not in str(error.value)


def test_settings_are_those_of_pip(tmp_path, monkeypatch):
    """Files and environment, of which the latter counts more; settings of other commands do not count."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one/simple\nextra-index-url =\n  https://two/simple\n  file:///three\n"
        "[download]\nproxy = http://p:1\n[install]\nno-index = yes\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine/simple")
    settings = pip_settings()
    assert settings["proxy"] == "http://p:1" and "no-index" not in settings
    found = Indexes(settings)
    assert found.indexes == ["https://mine/simple", "https://two/simple", "file:///three"]
    assert found.pages == [tmp_path.as_uri()]
    assert Indexes({}).indexes == [PYPI] and Indexes({"no-index": "1"}).indexes == []
