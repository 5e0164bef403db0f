"""Benchmark files come from the mirror or from their origin, checked either way; each failure is one clear line."""

import errno
import hashlib
import re
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.base import paths
from lib.base.errors import UserError
from lib.data import download

FILES = {"toy/en.json": b'{"data": [1, 2, 3]}' * 400, "toy/de.json": b'{"data": [4, 5, 6]}' * 400}


def registered(url: str = "https://origin.invalid") -> dict[str, download.RemoteFile]:
    return {
        path: download.RemoteFile(path, len(body), hashlib.sha256(body).hexdigest(), url and f"{url}/{path}", "CC0")
        for path, body in FILES.items()
    }


@pytest.fixture(autouse=True)
def toy_registry(own_folders, monkeypatch):
    """Two small files, no mirror, and nothing remembered of earlier probes."""
    monkeypatch.setattr(download, "registry", registered)
    monkeypatch.setattr(paths, "BESIDE", own_folders / "nothing")
    monkeypatch.delenv("HYBRID_DATA_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    download._reachable.cache_clear()
    yield
    download._reachable.cache_clear()


@pytest.fixture
def no_network(monkeypatch):
    """Fails a test that so much as looks at the network."""
    import pooch

    def refuse(*arguments, **options):
        pytest.fail("the network was asked")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.fixture
def mirror(own_folders, monkeypatch):
    folder = own_folders / "mirror"
    for path, body in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(folder))
    return folder


# --- the registry ---


def test_the_registry_lists_the_benchmarks_with_a_pinned_origin(monkeypatch):
    monkeypatch.undo()
    for dataset, languages in (("xquad-r", 11), ("mlqa-r", 7)):
        files = download.files_of(dataset)
        assert len(files) == languages
        for file in files:
            assert file.url.startswith("https://raw.githubusercontent.com/google-research-datasets/lareqa/")
            assert file.url.endswith(file.path.removeprefix("xquad-r/").removeprefix("mlqa-r/"))
            assert len(file.url.split("/")[5]) == 40  # a commit, not a branch
            assert len(file.sha256) == 64 and file.bytes > 100_000 and file.licence
    assert {file.path.split("/")[0] for file in download.registry().values() if not file.url} == {
        "miracl-mini",
        "parallel-docs",
    }


# --- mirrors ---


def test_the_mirror_that_is_named_is_used_and_nothing_else_is_asked(mirror, no_network):
    assert download.status("toy") == "mirror"
    assert download.fetch("toy") == {"en.json": mirror / "toy/en.json", "de.json": mirror / "toy/de.json"}


def test_a_mirror_beside_the_checkout_is_found_by_itself(mirror, monkeypatch, no_network):
    monkeypatch.delenv("HYBRID_DATA_MIRROR")
    monkeypatch.setattr(paths, "BESIDE", mirror)
    assert download.status("toy") == "mirror"
    assert download.fetch("toy")["en.json"] == mirror / "toy/en.json"


def test_an_empty_mirror_hides_every_other_source(mirror, own_folders, monkeypatch, no_network):
    monkeypatch.setattr(paths, "BESIDE", mirror)  # has the files
    downloads = own_folders / "store" / "downloads" / "toy"
    downloads.mkdir(parents=True)
    for path, body in FILES.items():
        (downloads / path.split("/")[1]).write_bytes(body)  # so does an earlier download
    empty = own_folders / "empty"
    empty.mkdir()
    for folder in (empty, own_folders / "does-not-exist"):
        monkeypatch.setenv("HYBRID_DATA_MIRROR", str(folder))
        assert download.status("toy") == "not obtainable"
        with pytest.raises(download.NotObtainable, match="toy: not obtainable.*HYBRID_DATA_MIRROR"):
            download.fetch("toy")


def test_naming_the_mirror_beside_the_checkout_makes_it_the_only_source(own_folders, monkeypatch, no_network):
    (own_folders / "beside").mkdir()
    monkeypatch.setattr(paths, "BESIDE", own_folders / "beside")
    monkeypatch.setenv("HYBRID_DATA_MIRROR", str(own_folders / "beside"))
    assert download.status("toy") == "not obtainable"


def message() -> str:
    with pytest.raises(UserError) as caught:
        download.fetch("toy")
    assert not isinstance(caught.value, download.NotObtainable)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (FILES["toy/de.json"][:-1], "7599 bytes instead of 7600, truncated or wrong"),
        (b"", "0 bytes instead of 7600"),
        (FILES["toy/en.json"], "SHA-256"),  # of equal size
        (FILES["toy/de.json"].replace(b"4", b"7", 1), "SHA-256"),
    ],
)
def test_a_damaged_or_wrong_file_of_the_mirror_is_named_with_the_remedy(body, said, mirror, no_network):
    assert len(FILES["toy/de.json"]) == len(FILES["toy/en.json"]) == 7600
    (mirror / "toy/de.json").write_bytes(body)
    assert said in message()
    assert str(mirror / "toy/de.json") in message()
    assert "copy it again into the mirror" in message()


def test_a_missing_file_of_the_mirror_is_named_with_the_remedy(mirror, no_network):
    (mirror / "toy/de.json").unlink()
    assert "de.json of toy is missing" in message()
    assert "copy it again into the mirror" in message()


# --- the origin ---


class Origin(BaseHTTPRequestHandler):
    """Serves FILES; ``server.wrong`` maps a path to what goes wrong with it."""

    def log_message(self, *arguments) -> None: ...

    def do_HEAD(self) -> None:
        self.server.asked.append(("HEAD", self.path[1:]))
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        path = self.path[1:]
        self.server.asked.append(("GET", path))
        wrong = self.server.wrong.get(path)
        body = {"error page": b"<html>sign in first</html>", "other bytes": FILES[path][::-1], "nothing": b""}.get(
            wrong, FILES[path]
        )
        self.send_response({"not found": 404, "overloaded": 503}.get(wrong, 200))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if wrong in ("cut", "stall", "reset"):
            body = body[: len(body) // 2]
        for start in range(0, len(body), 800):
            self.wfile.write(body[start : start + 800])
            time.sleep(0.02 if wrong == "slow" else 0)
        if wrong == "stall":
            self.server.over.wait(60)
        if wrong == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.fixture
def origin(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.asked, server.wrong, server.over = [], {}, threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(download, "registry", lambda: registered(f"http://127.0.0.1:{server.server_port}"))
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def got(origin) -> list[str]:
    return [path for method, path in origin.asked if method == "GET"]


def test_files_are_downloaded_once_and_kept(origin, own_folders):
    assert download.status("toy") == "origin"
    found = download.fetch("toy")
    assert {name: path.read_bytes() for name, path in found.items()} == {
        path.split("/")[1]: body for path, body in FILES.items()
    }
    assert all(path.is_relative_to(own_folders / "store") for path in found.values())
    assert download.status("toy") == "downloaded"
    assert download.fetch("toy") == found
    assert sorted(got(origin)) == sorted(FILES)
    assert [path for method, path in origin.asked if method == "HEAD"] == ["toy/en.json"]  # one probe


def test_an_error_page_in_place_of_a_file_is_refused_and_not_kept(origin, own_folders):
    origin.wrong["toy/de.json"] = "error page"
    assert "toy/de.json: the download from http://127.0.0.1" in message()
    assert "HYBRID_DATA_MIRROR" in message()
    assert not (own_folders / "store/downloads/toy/de.json").exists()
    origin.wrong.clear()
    assert download.fetch("toy")["de.json"].read_bytes() == FILES["toy/de.json"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("not found", "HTTPError"),
        ("overloaded", "HTTPError"),
        ("other bytes", "ValueError"),
        ("nothing", "ValueError"),
        ("cut", "ConnectionError|ChunkedEncodingError|ValueError"),
        ("reset", "ConnectionError|ChunkedEncodingError"),
        ("stall", "ConnectionError|Timeout"),
    ],
)
def test_whatever_goes_wrong_with_a_download_is_one_line_and_the_next_start_goes_on(
    wrong, said, origin, own_folders, monkeypatch
):
    monkeypatch.setattr("pooch.downloaders.DEFAULT_TIMEOUT", 0.3)
    origin.wrong["toy/de.json"] = wrong
    assert re.search(rf"^toy/de\.json: the download from .* failed \({said}\); .*start again to go on", message())
    assert [path.name for path in (own_folders / "store/downloads/toy").iterdir()] == ["en.json"]
    origin.wrong.clear()
    assert download.fetch("toy")["de.json"].read_bytes() == FILES["toy/de.json"]
    assert got(origin).count("toy/en.json") == 1


def test_a_slow_origin_is_waited_for_while_it_sends(origin, monkeypatch):
    monkeypatch.setattr("pooch.downloaders.DEFAULT_TIMEOUT", 0.1)
    origin.wrong["toy/de.json"] = "slow"
    assert download.fetch("toy")["de.json"].read_bytes() == FILES["toy/de.json"]


def test_an_origin_that_dies_after_the_probe_is_one_line(origin):
    assert download.status("toy") == "origin"
    origin.shutdown()
    origin.server_close()
    assert "toy/en.json: the download" in message()


def test_a_full_disk_is_named_where_a_download_ends(origin, monkeypatch):
    import shutil

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    assert "failed (No space left on device)" in message()


def test_a_connection_cut_in_the_middle_is_reported_and_the_next_start_goes_on(origin, own_folders):
    origin.wrong["toy/de.json"] = "cut"
    assert "toy/de.json: the download" in message()
    assert [path.name for path in (own_folders / "store/downloads/toy").iterdir()] == ["en.json"]
    origin.wrong.clear()
    assert download.fetch("toy")["de.json"].read_bytes() == FILES["toy/de.json"]
    assert got(origin).count("toy/en.json") == 1  # what was complete is not fetched again


def test_a_download_that_was_damaged_later_is_fetched_again(origin):
    path = download.fetch("toy")["de.json"]
    path.write_bytes(b"x")
    assert download.fetch("toy")["de.json"].read_bytes() == FILES["toy/de.json"]


def test_an_origin_that_does_not_answer_is_asked_once_and_said_once(monkeypatch, capsys):
    asked = []

    def unreachable(request, timeout):
        asked.append(timeout)
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert download.status("toy") == download.status("toy") == "not obtainable"
    assert asked == [5]
    assert capsys.readouterr().err == "(no answer from origin.invalid)\n"


def test_an_answer_that_is_not_http_is_no_answer(own_folders, monkeypatch):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.sendall(b"hello there\r\n\r\n")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setattr(download, "registry", lambda: registered(url))
    assert download.status("toy") == "not obtainable"
    listener.close()


def test_files_without_an_origin_exist_only_in_mirrors(monkeypatch, no_network):
    monkeypatch.setattr(download, "registry", lambda: registered(""))
    assert download.status("toy") == "not obtainable"
