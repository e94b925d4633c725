"""The server's promises, each seen kept in a real process on a real socket."""

import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import fake_run
from bombs import BOMBS, png, zeros
from linearhead.cli import cli
from linearhead.errors import UsageError
from linearhead.experiment import predict, run_folder
from linearhead.images import decode
from linearhead.trust import Conformal, Novelty
from test_export import model_of, scanned

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("python_multipart", reason="the extra serve is not installed")
if not os.path.isdir("/proc/self"):
    pytest.skip("processes are looked at in /proc", allow_module_level=True)

from linearhead.server import decoders
from linearhead.server.child import frame, read
from linearhead.server.openapi import described
from linearhead.server.run import allowed, check, listen
from server_process import START, Running, foreign_hosts, foreign_origins, form, kill

FILES = scanned(24)
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder whose model is calibrated and knows what is usual."""
    folder = tmp_path_factory.mktemp("served") / "my run"
    folder.mkdir()
    model = model_of("hog+color", 24, 30, "RGB")
    X = model.features(np.stack([decode(file, model.preprocessing)[0] for file in scanned(60)]))
    s = model.scores(X)
    conformal = Conformal.fit(s, model.probabilities(s), s.argmax(axis=1))
    model.facts["trust"] |= {"strangeness": {"n": conformal.n, "kept": list(conformal.kept)}}
    model.novelty = Novelty.fit(X)
    run_folder.write(folder, model, fake_run.digits_run())
    return folder


@pytest.fixture(scope="module")
def server(run):
    with Running(run) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The pictures as files, for `predict`."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, file in enumerate(FILES):
        (folder / f"{i:02}.png").write_bytes(file)
    return sorted(folder.iterdir())


def apart(coroutine):
    """Its result, in a thread where no loop runs: a browser leaves its own in this one."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, coroutine).result()


# ---- answers ----


def test_a_picture_gets_the_answer_of_predict_to_the_bit(server, run, files):
    expected = predict(run, files, coverage=0.9)
    for file, own in zip(FILES, expected, strict=True):
        status, _, told = server.ask("POST", "/predict?coverage=0.9&regions=true", file)
        assert status == 200
        answer = told["predictions"][0]
        assert (answer["label"], answer["confidence"], answer["labels"]) == (own.label, own.confidence, own.labels)
        assert answer["unlike"] == pytest.approx(own.unlike, abs=1e-12)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert np.shape(answer["regions"]) == (24, 24)


def test_regions_add_up_to_the_lead_over_a_mean_picture(server, run):
    model = run_folder.load_model(run)
    x = model.features(decode(FILES[3], model.preprocessing)[0][None])[0]
    told = server.ask("POST", "/predict?regions=true", FILES[3])[2]["predictions"][0]
    first, second = sorted(told["probabilities"], key=told["probabilities"].get)[:-3:-1]
    w = model.coef[model.classes.index(first)] - model.coef[model.classes.index(second)]
    assert np.sum(told["regions"]) == pytest.approx(float(w @ (x - model.novelty.mean)), abs=1e-4)


def test_a_form_has_an_answer_for_every_file_and_422_for_none(server):
    body, kind = form({"a.png": FILES[0], "no.txt": b"words", "b.png": FILES[1]})
    status, _, told = server.ask("POST", "/predict", body, kind)
    assert status == 200
    assert [p["name"] for p in told["predictions"]] == ["a.png", "no.txt", "b.png"]
    assert "not a picture" in told["predictions"][1]["error"]
    assert all("label" in told["predictions"][i] for i in (0, 2))
    body, kind = form({"no.txt": b"words"})
    assert server.ask("POST", "/predict", body, kind)[0] == 422
    assert server.ask("POST", "/predict", b"words")[0] == 422


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/predict", b"", "image/png", 422),
        ("/predict", b"{}", "application/json", 415),
        ("/predict?coverage=2", FILES[0], "image/png", 400),
        ("/predict?coverage=nan", FILES[0], "image/png", 400),
        ("/predict?coverage=.5&coverage=.6", FILES[0], "image/png", 400),
        ("/predict?regions=yes", FILES[0], "image/png", 400),
        ("/predict?url=http://example.org/a.png", FILES[0], "image/png", 400),
        ("/predict", b"--x--\r\n", "multipart/form-data; boundary=x", 400),
        ("/predict", b"nothing of the kind", "multipart/form-data; boundary=x", 400),
        ("/predict", b"x", "multipart/form-data", 400),
        ("/predict/", FILES[0], "image/png", 404),
        ("/predict/../etc/passwd", FILES[0], "image/png", 404),
        ("/health", b"x", "image/png", 405),
        ("/v2/models/other/infer", b"{}", "application/json", 404),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(server, path, body, kind, status):
    found, _, told = server.ask("POST", path, body, kind)
    assert found == status
    assert told.get("error") or told["predictions"][0]["error"]


def test_too_many_files_are_refused(server):
    body, kind = form({f"{i}.png": FILES[0] for i in range(33)})
    assert server.ask("POST", "/predict", body, kind)[0] == 400


# ---- Open Inference ----


def infer(server, asked, status=200):
    text = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    found, _, told = server.ask("POST", "/v2/models/my-run/infer", text, "application/json")
    assert found == status, told
    return told


def test_open_inference_takes_files_and_pixels(server, run):
    model = run_folder.load_model(run)
    looked = np.stack([decode(file, model.preprocessing)[0] for file in FILES[:5]])
    as_files = {"name": "pictures", "datatype": "BYTES", "shape": [5],
                "data": [base64.b64encode(f).decode() for f in FILES[:5]]}  # fmt: skip
    told = infer(server, {"id": "7", "inputs": [as_files]})
    assert (told["id"], told["model_name"]) == ("7", "my-run")
    tensors = {t["name"]: t for t in told["outputs"]}
    s = model.scores(model.features(looked))
    assert tensors["label"]["data"] == [model.classes[j] for j in s.argmax(axis=1)]
    assert tensors["scores"]["shape"] == tensors["probabilities"]["shape"] == [5, 5]
    assert np.allclose(tensors["probabilities"]["data"], model.probabilities(s).ravel(), atol=1e-6)
    as_pixels = {"name": "pixels", "datatype": "UINT8", "shape": list(looked.shape), "data": looked.ravel().tolist()}
    assert infer(server, {"inputs": [as_pixels]})["outputs"] == told["outputs"]
    assert infer(server, {"inputs": [as_pixels | {"data": looked.tolist()}]})["outputs"] == told["outputs"]
    about = server.ask("GET", "/v2/models/my-run")[2]
    assert about["parameters"]["classes"] == model.classes
    assert server.ask("GET", "/v2/models/my-run/ready")[0] == server.ask("GET", "/v2/health/live")[0] == 200


GOOD = {"name": "pictures", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(FILES[0]).decode()]}
PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 24, 30, 3], "data": [7] * 2160}


@pytest.mark.parametrize(
    "asked",
    [
        b"", b"{", b"[]", b"[" * 100_000, b'{"inputs": 1e999}', b"\xff\xfe", {}, {"inputs": []}, {"inputs": [1]},
        {"inputs": [GOOD, GOOD]}, {"inputs": [GOOD], "id": 5}, {"inputs": [GOOD | {"shape": [2]}]},
        {"inputs": [GOOD | {"shape": [True]}]}, {"inputs": [GOOD | {"shape": [10**30]}]},
        {"inputs": [GOOD | {"data": ["*"]}]},
        {"inputs": [GOOD | {"data": [5]}]}, {"inputs": [GOOD | {"data": None}]},
        {"inputs": [GOOD | {"datatype": "FP32"}]},
        {"inputs": [PIXELS | {"data": [256] * 2160}]}, {"inputs": [PIXELS | {"data": [-1] * 2160}]},
        {"inputs": [PIXELS | {"data": [0.5] * 2160}]}, {"inputs": [PIXELS | {"data": [1] * 2159}]},
        {"inputs": [PIXELS | {"data": [[1], [1, 2]]}]}, {"inputs": [PIXELS | {"shape": [1, 30, 24, 3]}]},
        {"inputs": [GOOD], "outputs": []}, {"inputs": [GOOD], "outputs": [{"name": "nosuch"}]},
        {"inputs": [GOOD], "outputs": [{"name": "label"}, 7]}, {"inputs": [GOOD], "outputs": "label"},
        {"inputs": [PIXELS | {"data": ["a"] * 2160}]}, {"inputs": [PIXELS | {"data": [10**40] * 2160}]},
    ],
)  # fmt: skip
def test_wrong_inference_requests_are_400(server, asked):
    assert infer(server, asked, 400)["error"]


def test_a_refused_tensor_is_told_what_it_was_and_what_is_needed(server):
    told = infer(server, {"inputs": [PIXELS | {"shape": [1, 30, 24, 3]}]}, 400)["error"]
    assert told == (
        "The tensor is pixels, UINT8, shape [1, 30, 24, 3]; needed is pictures, BYTES, shape [n], or pixels, UINT8, "
        "shape [n, 24, 30, 3]."
    )


def test_open_inference_gives_the_outputs_that_are_wanted_of_the_version_that_is_named(server):
    whole = infer(server, {"inputs": [GOOD]})["outputs"]
    text = json.dumps({"inputs": [GOOD], "outputs": [{"name": "scores"}, {"name": "label"}]}).encode()
    status, _, told = server.ask("POST", "/v2/models/my-run/versions/1/infer", text, "application/json")
    assert (status, told["outputs"]) == (200, whole[:2])
    for end in ("", "/ready"):
        one, other = (server.ask("GET", f"/v2/models/my-run{place}{end}") for place in ("", "/versions/1"))
        assert (one[0], one[2]) == (other[0], other[2])
    assert server.ask("GET", "/v2/models/my-run/versions/2")[0] == 404


# ---- who may ask ----

ROUTES = [
    ("GET", p) for p in ("/", "/health", "/health/ready", "/metrics", "/openapi.json", "/v2", "/v2/models/my-run")
]
ROUTES += [("GET", "/nowhere"), ("POST", "/predict"), ("POST", "/v2/models/my-run/infer"), ("OPTIONS", "/predict")]
ROUTES += [("GET", f"/v2/models/my-run/versions/1{end}") for end in ("", "/ready")]
ROUTES += [("POST", "/v2/models/my-run/versions/1/infer")]
ROUTES += [("GET", p) for p in ("/v2/health/live", "/v2/health/ready", "/v2/models/my-run/ready")]


def test_other_hosts_and_other_origins_are_refused_on_every_route(server):
    """40 names and 20 origins, alone and together, on every route; and no answer lets another page read it."""
    port = server.port
    hosts, origins = foreign_hosts(port), foreign_origins(port)
    assert (len(hosts), len(origins)) == (40, 20)
    for method, path in ROUTES:
        body = FILES[0] if method == "POST" else None
        for i, host in enumerate(hosts):
            status, told, _ = server.ask(method, path, body, Host=host, Origin=origins[i % 20])
            assert status in (421, 400), (host, path)  # 400: no host name at all, by HTTP itself
            status, more, _ = server.ask(method, path, body, Host=host)
            assert status in (421, 400), (host, path)
            assert not [name for name in {*told, *more} if name.startswith("access-control")]
        for origin in origins:
            status, told, _ = server.ask(method, path, body, Origin=origin)
            assert status == 403, (origin, path)
            assert not [name for name in told if name.startswith("access-control")]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}"):
        assert server.ask("GET", "/health", Host=host, Origin=f"http://{host}")[0] == 200


def test_two_hosts_in_one_request_are_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\nHost: evil\r\n\r\n".encode())
        assert s.recv(100).split()[1] in (b"400", b"421")


def test_every_answer_has_its_headers(server):
    for method, path in ROUTES:
        told = server.ask(method, path, FILES[0] if method == "POST" else None)[1]
        assert "default-src 'none'" in told["content-security-policy"]
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert "unsafe" not in told["content-security-policy"]
        assert told["x-content-type-options"] == "nosniff"
        assert "server" not in told


def test_a_token_is_needed_where_one_is_set(run):
    with Running(run, token=TOKEN) as server:
        for method, path in ROUTES:
            body = FILES[0] if method == "POST" else None
            expected = 200 if path == "/" or "/health" in path else 401
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                assert server.ask(method, path, body, **header)[0] == expected, path
        assert server.ask("POST", "/predict", FILES[0], Authorization=f"Bearer {TOKEN}")[0] == 200
        page = server.ask("GET", "/")[2]
        assert not [name for name in ("zwei", "drei", TOKEN) if name in page]
        for child in server.children():
            assert TOKEN.encode() not in Path(f"/proc/{child}/environ").read_bytes()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_everywhere_goes_by_the_address_that_was_asked(run, host):
    """A Host that says the address of this very connection is no rebound name; others are, its other addresses too."""
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with Running(run, token=TOKEN, host=host) as server:
        for address in ("127.0.0.1", "127.0.0.2"):
            asked = http.client.HTTPConnection(address, server.port, timeout=30)
            for name, status in ((address, 200), ("localhost", 200), ("127.0.0.3", 421), ("evil.org", 421)):
                asked.request("GET", "/health", headers={"Host": f"{name}:{server.port}"})
                answer = asked.getresponse()
                assert (answer.status, bool(answer.read())) == (status, True), (address, name)
            asked.close()
    with Running(run) as server:
        assert server.ask("GET", "/health", Host=f"127.0.0.2:{server.port}")[0] == 421


def test_other_addresses_need_a_token_worth_the_name():
    check("127.0.0.1", None)
    check("::1", None)
    check("0.0.0.0", TOKEN)
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(UsageError, match="a token is needed"):
            check(host, None)
    for token in ("short", "a" * 15, "with spaces in the middle", "ünïcödé-ünïcödé-ünïcödé", "line\nbreak-line-break"):
        with pytest.raises(UsageError, match="printable ASCII"):
            check("127.0.0.1", token)
    assert allowed("10.1.2.3", 80, ["Cat.example"]) == {"10.1.2.3:80", "10.1.2.3", "cat.example:80", "cat.example"}
    assert allowed("0.0.0.0", 5, ["cat"]) == {"cat:5", "[::1]:5", "localhost:5", "127.0.0.1:5"}
    assert allowed("::1", 5, ()) == {"[::1]:5", "localhost:5", "127.0.0.1:5"}


# ---- how much ----


def raw(server, *parts, wait=5.0):
    """What comes back for bytes sent as they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as s:
        try:
            for part in parts:
                s.sendall(part)
        except OSError:
            pass
        found = b""
        try:
            while piece := s.recv(65536):
                found += piece
        except OSError:
            pass
        return found


def test_too_large_a_body_is_refused_before_and_while_it_comes(run):
    with Running(run, body_bytes=200_000) as server:
        head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: image/png\r\n"
        assert b" 413 " in raw(server, f"{head}Content-Length: 1073741824\r\n\r\n".encode())[:20]
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        assert b" 413 " in raw(server, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), chunk * 4)[:20]
        body, kind = form({"a.png": b"x" * 300_000})
        status = server.ask("POST", "/predict", body[:199_000], kind)[0]
        assert status == 400  # cut off, within the limit
        before = server.resident()
        for _ in range(4):  # a stream without end, as fast as it is taken
            raw(server, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk * 16] * 64)
        assert server.resident() - before < 64 * 2**20
        assert server.ask("POST", "/predict", FILES[0])[0] == 200


def test_a_refusal_arrives_while_the_rest_is_still_being_sent(server):
    """Clients that send everything before they listen: a connection closed at once would be reset under them."""
    body, kind = form({"a.png": b"x" * 12_000_000})
    refused = {
        413: (b"x" * 30_000_000, "image/png", {}),
        400: (body.replace(b"\r\n\r\n", b"\r\n", 1), kind, {}),
        403: (body, kind, {"Origin": "http://evil"}),
        421: (body, kind, {"Host": "evil"}),
    }
    for _ in range(5):
        for status, (body, kind, more) in refused.items():
            found, _, told = server.ask("POST", "/predict", body, kind, **more)
            assert (found, list(told)) == (status, ["error"])
    assert raw(server, b"NO\r\n\r\n" + b"x" * 12_000_000).startswith(b"HTTP/1.1 400 ")


def drip(s, piece, times):
    for _ in range(times):
        s.sendall(piece)
        time.sleep(0.01)


def test_whoever_goes_on_after_a_refusal_is_closed(server):
    head = "POST /predict HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(head.encode())
        assert s.recv(13) == b"HTTP/1.1 421 "
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(s, b"1\r\nx\r\n", 2000)
        assert server.ask("POST", "/predict", FILES[0])[0] == 200


def test_answers_are_sent_without_delay():
    """Head and body are two writes; with Nagle's algorithm the second waits 40 ms on a connection that is kept."""

    async def accepted():
        listener, found = listen("127.0.0.1", 0), asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda _, writer: found.set_result(writer), sock=listener)
        _, mine = await asyncio.open_connection(*listener.getsockname())
        theirs = await found
        undelayed = theirs.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        mine.close()
        theirs.close()
        server.close()
        return undelayed

    assert apart(accepted())


def test_a_head_without_end_is_refused(server):
    answer = raw(server, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000)
    assert answer[:13] == b"HTTP/1.1 400 "
    assert server.ask("GET", "/health")[0] == 200


def test_too_many_pictures_wait_get_503_and_when_to_come_again(run):
    with Running(run, slow=0.4, waiting=4) as server, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: server.ask("POST", "/predict", FILES[i]), range(16)))
        statuses = [status for status, _, _ in found]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 4
        assert all(told["retry-after"] == "1" for status, told, _ in found if status == 503)
        assert server.ask("POST", "/predict", FILES[0])[0] == 200
        metrics = server.ask("GET", "/metrics")[2]
        assert "linearhead_pictures_waiting 0\n" in metrics
        assert f'route="/predict",status="503"}} {statuses.count(503)}\n' in metrics


def test_a_burst_is_answered_together_and_each_gets_its_own(run, files):
    expected = [own.label for own in predict(run, files)]
    with Running(run, slow=0.1) as server, ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda file: server.ask("POST", "/predict", file)[2]["predictions"][0]["label"], FILES))
        assert found == expected
        metrics = server.ask("GET", "/metrics")[2]
        calls = int(metrics.split("\nlinearhead_batches ")[1].split()[0])
        assert 1 <= calls <= 12
        assert 'linearhead_pictures_total{outcome="answered"} 24' in metrics


# ---- how long ----


def test_whoever_owes_bytes_is_closed_in_ten_seconds_while_others_are_served(server):
    """Silent, half a head, a byte of it at a time, half a body, a byte of it at a time, half of a second request."""
    head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n"
    whole = f"GET /health HTTP/1.1\r\nHost: {server.host}\r\n\r\n"
    begun = [b"", b"GET / HT", head.encode(), head.encode() + b"\r\nxy", whole.encode() + b"GET /he"]
    kinds = [(start, drip) for start in begun for drip in (False, True)] * 6
    opened, closed = {}, {}
    for start, drip in kinds:
        s = socket.create_connection(("127.0.0.1", server.port))
        s.setblocking(False)
        if start:
            s.send(start)
        opened[s] = (time.monotonic(), drip)
    next_byte = time.monotonic() + 1
    while len(closed) < len(opened) and time.monotonic() < min(t for t, _ in opened.values()) + 12:
        assert server.ask("POST", "/predict", FILES[0])[0] == 200
        drips = time.monotonic() > next_byte
        next_byte += drips
        for s in set(opened) - set(closed):
            try:
                while s.recv(4096):
                    pass
                closed[s] = time.monotonic() - opened[s][0]
            except BlockingIOError:
                if drips and opened[s][1]:
                    with contextlib.suppress(OSError):
                        s.send(b"x")
            except OSError:
                closed[s] = time.monotonic() - opened[s][0]
        time.sleep(0.05)
    assert len(closed) == len(opened) == 60
    assert max(closed.values()) <= 10
    assert min(closed.values()) > 2  # not simply refused
    for s in opened:
        s.close()


def send_slowly(server, seconds, rate):
    """A picture whose bytes come at `rate` a second for so long; the first line of the answer, b"" where none came."""
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data, step = buffer.getvalue(), int(rate * 0.05)
    end = len(data) - int(rate * seconds)  # what is sent at once
    head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: image/png\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
        try:
            s.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[:end])
            for at in range(end, len(data), step):
                time.sleep(0.05)
                s.sendall(data[at : at + step])
            return s.recv(4096).partition(b"\r\n")[0]
        except OSError:
            return b""


def test_a_photo_over_a_slow_network_arrives_and_one_that_hardly_moves_does_not(run):
    with Running(run, body_seconds=0.5, body_rate=10_000.0, answer_seconds=0.8) as server:
        assert send_slowly(server, 1.5, 70_000) == b"HTTP/1.1 200 OK"
        assert send_slowly(server, 3.0, 1_000) == b""


def test_it_stops_in_good_order(run):
    """SIGTERM: what was asked is answered, the exit code is 0, no decoder is left behind."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Running(run, slow=0.8)
        children = server.children()
        assert len(children) == 2
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(server.ask, "POST", "/predict", FILES[0])
            time.sleep(0.3)
            server.process.send_signal(number)
            assert asked.result()[0] == 200
        _, errors = server.process.communicate(timeout=15)
        assert server.process.returncode in (0, -number), errors
        assert "Traceback" not in errors
        time.sleep(0.2)
        assert not [child for child in children if os.path.exists(f"/proc/{child}")]


def test_stopping_at_once_is_said_to_those_who_wait_and_leaves_no_tracebacks(run):
    for signals, limits in (([signal.SIGINT, signal.SIGINT], {}), ([signal.SIGTERM], {"stop_seconds": 1})):
        server = Running(run, slow=2.0, **limits)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(server.ask, "POST", "/predict", FILES[0])
            for number in signals:
                time.sleep(0.3)
                server.process.send_signal(number)
            status, _, told = asked.result()
        assert (status, told) == (503, {"error": "The server is stopping."})
        _, errors = server.process.communicate(timeout=15)
        assert "Traceback" not in errors


# ---- decoders ----


def test_killed_decoders_cost_nobody_an_answer(run):
    with Running(run, decoders=3) as server, ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(server.ask, "POST", "/predict", FILES[i % 24]) for i in range(240)]
        killed = 0
        while not all(future.done() for future in asked):
            children = server.children()
            if len(children) >= 2 and killed < 15:
                kill(children[killed % len(children)])
                killed += 1
            time.sleep(0.08)
        assert [future.result()[0] for future in asked] == [200] * 240
        assert killed >= 3
        for _ in range(50):  # one that died idle is found dead, and replaced, when it is asked
            assert server.ask("POST", "/predict", FILES[0])[0] == 200
            if len(server.children()) == 3:
                break
            time.sleep(0.1)
        assert len(server.children()) == 3
        replaced = server.ask("GET", "/metrics")[2].split("\nlinearhead_decoders_replaced ")[1].split()[0]
        assert 1 <= int(replaced) <= killed


SOME_BOMBS = (  # all of them: benchmarks/serving.py
    "claims 2**31 a side",
    "64 megapixels in colour",
    "64 megapixels of 16 bits",
    "more data than pixels",
    "JPEG of a thousand scans",
    "GIF of 64 megapixels",
    "BMP of 64 megapixels of runs",
    "TIFF of 64 megapixels, deflated",
    "PPM of six million words",
    "WebP of 64 megapixels",
)


def test_a_picture_that_takes_too_much_of_a_processor_is_told_so_at_once(run):
    with Running(run, decoders=1, decode_work=0.1) as server:
        status, _, told = server.ask("POST", "/predict", BOMBS["64 megapixels in colour"]())
        assert (status, told["predictions"][0]["error"]) == (
            422,
            "decoding it takes more than 0.1 seconds of a processor",
        )
        assert [server.ask("POST", "/predict", FILES[i])[0] for i in range(12)] == [200] * 12  # each has its own 0.1
        replaced = server.ask("GET", "/metrics")[2].split("\nlinearhead_decoders_replaced ")[1].split()[0]
        assert replaced == "1"  # not tried again


def test_bombs_are_survived_within_256_megabytes_each(run):
    with Running(run, decoders=1) as server:
        server.ask("POST", "/predict", FILES[0])
        base = server.resident(server.children()[0])
        for name in SOME_BOMBS:
            status, _, told = server.ask("POST", "/predict", BOMBS[name]())
            assert status in (200, 422), (name, told)
            for child in server.children():
                assert server.resident(child, peak=True) - base < 256 * 2**20, name
        assert server.ask("POST", "/predict", FILES[0])[0] == 200


def test_a_decoder_speaks_in_frames_and_is_confined(run):
    model = run_folder.load_model(run)
    start = json.dumps({"looks": model.preprocessing.to_dict(), "bytes": 2**26, "work": 9}).encode()
    script = frame(start) + frame(FILES[0]) + frame(b"words") + frame(png(9000, 5000, zeros(5000 * 27001)))
    words = [sys.executable, "-m", "linearhead.server.child"]
    done = subprocess.run(
        words, input=script, capture_output=True, timeout=60, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    )
    out = io.BytesIO(done.stdout)
    assert read(out) == b"\0"
    assert read(out)[1:] == decode(FILES[0], model.preprocessing)[0].tobytes()
    assert b"not a picture" in read(out)
    assert b"memory" in read(out)
    assert read(out) is None
    assert done.returncode == 0


# ---- words about itself, and the page ----


def test_the_description_names_every_route_and_every_reference_is_there(server):
    document = server.ask("GET", "/openapi.json")[2]
    assert document["openapi"].startswith("3.1")
    for method, path in ROUTES:
        if path not in ("/nowhere",) and method != "OPTIONS":
            assert method.lower() in document["paths"][path]
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} == names
    assert described.__doc__


def test_random_requests_never_make_it_fail(server):
    """600 requests of random methods, paths, queries, bodies and kinds: no answer of 500, and it still works."""
    rng = np.random.default_rng(11)
    kinds = ["image/png", "application/json", "multipart/form-data; boundary=b", "text/plain", "", "a/b; c=\xe9", "*/*"]
    paths = [path for _, path in ROUTES] + [
        "/%00",
        "/..%2f..",
        "/predict?" + "a=1&" * 50,
        "/v2/models/%ff/infer",
        "//",
        "*",
    ]
    good = [FILES[0], json.dumps({"inputs": [GOOD]}).encode(), form({"a": FILES[1]}, "b")[0]]
    for _ in range(600):
        body = bytearray(good[rng.integers(3)])
        for _ in range(rng.integers(0, 6)):
            body[rng.integers(len(body))] = rng.integers(256)
        body = bytes(body[: rng.integers(len(body) + 1)])
        method = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"][rng.integers(7)]
        status = server.ask(method, paths[rng.integers(len(paths))], body, kinds[rng.integers(len(kinds))])[0]
        assert 200 <= status < 500
    metrics = server.ask("GET", "/metrics")[2]
    assert "linearhead_faults_total 0\n" in metrics
    series = [line for line in metrics.splitlines() if line.startswith("linearhead_requests_total")]
    assert len(series) < 150


def test_a_person_drops_pictures_on_the_page(browser, server, run, files, tmp_path):
    expected = predict(run, files[:3])
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"words")
    for width in (1100, 390):
        context = browser.new_context(viewport={"width": width, "height": 844})
        page, noise = context.new_page(), []
        page.on("console", lambda m, seen=noise: seen.append(m.text) if "422" not in m.text else None)
        page.on("pageerror", lambda e, seen=noise: seen.append(str(e)))
        page.goto(f"http://{server.host}/")
        assert "zwei" in page.inner_text("header")
        page.set_input_files("#files", [str(file) for file in files[:3]] + [str(bad)])
        page.wait_for_selector("#results li:nth-child(4) .warn")
        cards = page.query_selector_all("#results > li")
        assert [card.query_selector(".label").inner_text() for card in cards[:3]] == [own.label for own in expected]
        assert "not a picture" in cards[3].inner_text()
        assert "coverage" in cards[0].inner_text()
        assert len(cards[0].query_selector_all("meter")) == 5
        cards[0].query_selector("button").click()
        assert cards[0].query_selector("canvas").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#clear")
        assert page.query_selector_all("#results > li") == []
        other = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"}
        good = {"name": "a.png", "mimeType": "image/png", "buffer": files[0].read_bytes()}
        page.set_input_files("#files", [other, good])
        page.wait_for_selector("#results li meter")
        assert page.inner_text("#status") == f"1 file that is no picture was left out. a.png: {expected[0].label}"
        page.click("#clear")
        folder = "Object.assign(new File([], 'x'), {slice: () => ({arrayBuffer: () => Promise.reject(Error())})})"
        page.evaluate(f"take([{folder}])")
        assert "of a folder, drop the pictures in it" in page.inner_text("#results")
        page.click("#clear")
        for place in (".drop", ".button"):  # by the keyboard alone, and seen
            page.keyboard.press("Tab")
            style = page.evaluate("place => getComputedStyle(document.querySelector(place)).outlineStyle", place)
            assert style == "solid"
        context.set_offline(True)
        page.set_input_files("#camera", str(files[0]))
        page.wait_for_selector("#results li .warn")
        assert "No answer" in page.inner_text("#results")
        assert "No network" in page.inner_text("#results")
        assert page.inner_text("#status").endswith(": No answer")  # for who listens
        noise.pop()  # what the browser itself says of it
        assert noise == []
        context.close()


def test_the_page_sends_the_token_of_its_address(browser, run, files):
    with Running(run, token=TOKEN) as server:
        for part, expected in ((f"#token={TOKEN}", "five labels"), ("", "A token is needed")):
            page = browser.new_page()
            page.goto(f"http://{server.host}/{part}")
            page.set_input_files("#files", str(files[0]))
            page.wait_for_selector("#results li meter" if part else "#results li .warn")
            if not part:
                assert expected in page.inner_text("#results")
            page.close()


def test_the_command_says_where_and_refuses_what_it_must(run):
    for words, needed in ((["--host", "0.0.0.0"], "a token is needed"), (["--token", "short"], "printable ASCII")):
        done = CliRunner().invoke(cli, ["serve", str(run), *words])
        assert done.exit_code == 2
        assert needed in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = CliRunner().invoke(cli, ["serve", str(run), "--port", str(taken.getsockname()[1])])
        assert done.exit_code == 4
        assert "Choose another --port" in done.stderr
    code = "from linearhead.cli import main; main()"
    words = [sys.executable, "-c", code, "serve", str(run), "--port", "0", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = ""
    while not told.endswith("}\n"):
        told += process.stdout.readline()
    assert json.loads(told)["model"] == "my-run"
    assert json.loads(told)["serving"].startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode in (0, 130, -2), errors
    assert "Traceback" not in errors


def test_modules_of_the_folder_it_is_started_in_are_not_run(run, tmp_path, monkeypatch):
    """Somebody's photos may lie beside a json.py."""
    for name in ("json.py", "signal.py", "PIL.py"):
        (tmp_path / name).write_text("raise SystemExit('not for you')")
    monkeypatch.setattr("server_process.START", "import sys; sys.path.remove(''); " + START.lstrip())
    monkeypatch.chdir(tmp_path)
    with Running(run) as server:
        assert server.ask("POST", "/predict", FILES[0])[0] == 200


def test_serving_does_not_wait_for_what_only_training_needs(run):
    code = (
        "import sys; from linearhead.experiment import Service; import linearhead.server.run\n"
        f"Service({str(run)!r})\n"
        "assert not {'scipy', 'sklearn'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_closing_a_connection_that_was_reset_says_nothing():
    from linearhead.server.protocol import Lingering

    class Reset:
        def is_closing(self):
            return False

        def write_eof(self):
            raise OSError(107, "Transport endpoint is not connected")

    transport = Lingering(Reset(), lambda: True)
    transport.close()
    assert transport.is_closing()


def test_a_child_that_dies_while_it_is_ended_is_not_missed(monkeypatch, caplog):
    """What kills it must not take its end from who waits for it, however the two fall together."""
    monkeypatch.setattr(decoders, "PAUSE", 0.0)

    async def end(spins: int) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("sleep", "5", stdin=pipe, stdout=pipe)
        os.kill(process.pid, signal.SIGKILL)
        begin = time.perf_counter()
        while time.perf_counter() - begin < spins * 2e-5:
            pass
        await decoders.Child(process).end()
        assert process.returncode is not None

    async def all_of_them() -> None:
        for i in range(200):
            await end(i % 40)

    apart(all_of_them())
    assert "Unknown child process" not in caplog.text
