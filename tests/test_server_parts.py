"""The server's parts by themselves, in this process: who is let in, what is counted, who is answered together."""

import asyncio
import base64
import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from linearhead.server import Limits, Question
from linearhead.server.batcher import TOGETHER, Batcher
from linearhead.server.guard import HEADERS, POLICY, Guard, Refused
from linearhead.server.inference import read_inputs, wanted, written
from linearhead.server.metrics import BOUNDS, Metrics

NAMES = {"127.0.0.1:8000", "localhost:8000"}
LIMITS = Limits(answer_seconds=30, body_bytes=100, all_bytes=150)
HASTY = replace(LIMITS, answer_seconds=0.05)
HOST = (b"host", b"localhost:8000")


def run(coroutine):
    """Its result, in a thread where no loop runs: a browser leaves its own in this one."""
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(asyncio.wait_for(coroutine, 20))), daemon=True)
    thread.start()
    thread.join(30)
    return found[0]


async def reads(scope, receive, send):
    """An application that takes the whole body and tells its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": scope.get("own", [])})
    await send({"type": "http.response.body", "body": str(size).encode()})


def guarded(app=reads, token=None, everywhere=False, limits=LIMITS):
    return Guard(app, NAMES, token, limits, Metrics({"/predict", "/"}), everywhere)


def asked(guard, headers=(HOST,), bodies=(b"",), path="/predict", **more):
    """(status, headers, body) of an answer; None where nothing was said."""
    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "scheme": "http"} | more
    parts = [{"type": "http.request", "body": b, "more_body": i + 1 < len(bodies)} for i, b in enumerate(bodies)]
    coming, sent = iter([*parts, {"type": "http.disconnect"}]), []

    async def receive():
        return next(coming)

    async def send(message):
        sent.append(message)

    run(guard(scope, receive, send))
    if not sent:
        return None
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent)


ORIGIN = (b"origin", b"http://localhost:8000")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([HOST], 200),
        ([(b"host", b"LocalHost:8000")], 200),
        ([HOST, ORIGIN], 200),
        ([HOST, (b"origin", b"HTTP://LOCALHOST:8000")], 200),
        ([], 421),
        ([HOST, HOST], 421),
        ([(b"host", b"localhost")], 421),
        ([(b"host", b"evil.example:8000")], 421),
        ([HOST, (b"origin", b"https://localhost:8000")], 403),
        ([HOST, (b"origin", b"http://127.0.0.1:8000")], 403),  # of a page under the other name
        ([HOST, (b"origin", b"null")], 403),
        ([HOST, ORIGIN, ORIGIN], 403),
        ([HOST, (b"content-length", b"100")], 200),
        ([HOST, (b"content-length", b"101")], 413),
    ],
)
def test_one_own_name_and_no_other_pages_origin(headers, status):
    guard = guarded()
    found, answered, body = asked(guard, headers)
    assert found == status
    assert guard.metrics.requests == {("POST", "/predict", status): 1}
    assert all(answered[name] == value for name, value in HEADERS)
    assert answered[b"content-security-policy"] == POLICY.encode()
    if status != 200:
        assert len(json.loads(body)["error"]) > 10
        assert answered[b"connection"] == b"close"
        assert int(answered[b"content-length"]) == len(body)


@pytest.mark.parametrize(
    ("given", "path", "status"),
    [
        ([b"Bearer secret"], "/predict", 200),
        ([], "/predict", 401),
        ([b"Bearer Secret"], "/predict", 401),
        ([b"secret"], "/predict", 401),
        ([b"Bearer secret"] * 2, "/predict", 401),
        ([], "/", 200),
        ([], "/health/ready", 200),
        ([], "/metrics", 401),
    ],
)
def test_a_token_opens_all_but_what_is_open(given, path, status):
    found = asked(guarded(token="secret"), [HOST, *((b"authorization", value) for value in given)], path=path)
    assert found[0] == status
    assert (found[1].get(b"www-authenticate") == b"Bearer") == (status == 401)


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        (("10.0.0.7", 8000), b"10.0.0.7:8000", 200),
        (("10.0.0.7", 8000), b"10.0.0.7", 421),
        (("10.0.0.7", 80), b"10.0.0.7", 200),
        (("10.0.0.7", 8000), b"10.0.0.8:8000", 421),
        (("fe80::1", 8000), b"[fe80::1]:8000", 200),
        (("::ffff:10.0.0.7", 8000), b"10.0.0.7:8000", 200),
        (("/a/socket", None), b"10.0.0.7:8000", 421),
        (None, b"10.0.0.7:8000", 421),
        (None, b"localhost:8000", 200),
    ],
)
def test_listening_everywhere_the_address_itself_is_a_name(server, host, status):
    assert asked(guarded(everywhere=True), [(b"host", host)], server=server)[0] == status
    assert asked(guarded(), [(b"host", host)], server=server)[0] == (status if b"localhost" in host else 421)


def test_bytes_are_counted_while_they_come_and_let_go_of_afterwards():
    guard = guarded()
    for bodies, status in (([b"x" * 60, b"x" * 40], 200), ([b"x" * 60, b"x" * 41], 413)):
        found = asked(guard, bodies=bodies)
        assert (found[0], guard.held) == (status, 0)
    guard.held = 51  # of other requests
    status, headers, _ = asked(guard, bodies=[b"x" * 100])
    assert (status, headers[b"retry-after"], guard.held) == (503, b"1", 51)
    guard.held = 50
    assert asked(guard, bodies=[b"x" * 100])[0::2] == (200, b"100")


def test_faults_are_for_the_log_and_late_answers_are_given_up(capsys):
    async def fails(scope, receive, send):
        raise RuntimeError("the secret path")

    async def hangs(scope, receive, send):
        await asyncio.sleep(5)

    guard = guarded(fails)
    status, _, body = asked(guard)
    assert status == 500
    assert b"secret" not in body
    assert "the secret path" in capsys.readouterr().err
    assert guard.metrics.faults == 1
    assert asked(guarded(hangs, limits=HASTY))[0] == 503
    assert asked(guarded(), bodies=()) is None  # whoever has gone is told nothing
    for kind in ("websocket", "lifespan"):
        assert (asked(guarded(), type=kind) is None) == (kind == "websocket")


def test_a_pages_own_policy_is_kept():
    headers = asked(guarded(), own=[(b"Content-Security-Policy", b"mine")])[1]
    assert headers[b"Content-Security-Policy"] == b"mine"
    assert b"content-security-policy" not in headers


def test_numbers_are_those_of_a_prometheus_histogram(monkeypatch):
    metrics = Metrics({"/predict"})
    taken = [0.0, 0.005, 0.006, 0.3, 7.0]
    monkeypatch.setattr("linearhead.server.metrics.time", SimpleNamespace(perf_counter=lambda: 100.0))
    for seconds in taken:
        metrics.timed(100.0 - seconds)
    for method, path in (("GET", "/predict"), ("BREW", "/predict"), ("GET", "/made/up"), ("GET", "/made/up/2")):
        metrics.count(method, path, 200)
    metrics.gauges["waiting"] = ("Pictures that wait.", lambda: 3)
    metrics.pictures["answered"] += 2
    told = dict(line.rsplit(" ", 1) for line in metrics.text().splitlines() if line[0] != "#")
    for bound in BOUNDS:
        n = np.sum(np.array(taken) <= bound + 1e-9)
        assert told[f'linearhead_answer_seconds_bucket{{le="{bound}"}}'] == str(n)
    assert told['linearhead_answer_seconds_bucket{le="+Inf"}'] == told["linearhead_answer_seconds_count"] == "5"
    assert float(told["linearhead_answer_seconds_sum"]) == pytest.approx(sum(taken))
    named = 'linearhead_requests_total{{method="{}",route="{}",status="200"}}'
    counts = {("GET", "/predict"): "1", ("other", "/predict"): "1", ("GET", "other"): "2"}
    assert {key: told[named.format(*key)] for key in counts} == counts
    assert told["linearhead_waiting"] == "3"
    assert told['linearhead_pictures_total{outcome="answered"}'] == "2"
    assert metrics.text().endswith("\n")


def test_what_waits_is_answered_together_and_each_gets_its_own():
    sizes, may_begin = [], threading.Event()

    class Served:
        def answers(self, questions):
            may_begin.wait(5)
            sizes.append(len(questions))
            if questions[0].coverage == 0.5:
                raise ValueError("no such coverage")
            return [{"sum": int(q.pixels.sum())} for q in questions]

    async def ask():
        batcher = Batcher(Served())
        batcher.start()
        first = asyncio.ensure_future(batcher.ask(Question(np.full(1, 7))))
        while not batcher.calls:  # the thread is busy with it
            await asyncio.sleep(0.001)
        rest = [asyncio.ensure_future(batcher.ask(Question(np.full(1, i)))) for i in range(TOGETHER + 3)]
        await asyncio.sleep(0)
        rest[5].cancel()
        may_begin.set()
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        bad = await asyncio.gather(batcher.ask(Question(np.zeros(1), 0.5)), return_exceptions=True)
        good = await batcher.ask(Question(np.full(1, 9)))
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "answers")
        assert thread.daemon  # it keeps no process from its end
        batcher.stop()
        thread.join(5)
        assert not thread.is_alive()
        return found, bad, good, batcher

    found, (bad,), good, batcher = run(ask())
    assert found[0] == {"sum": 7}
    assert [one["sum"] for i, one in enumerate(found[1:]) if i != 5] == [i for i in range(TOGETHER + 3) if i != 5]
    assert isinstance(found[6], asyncio.CancelledError)
    assert sizes == [1, TOGETHER, 3, 1, 1]
    assert (batcher.calls, batcher.asked) == (5, sum(sizes))
    assert isinstance(bad, ValueError)  # of this call alone
    assert good == {"sum": 9}


def test_pictures_of_the_inference_protocol_come_as_files_or_as_pixels():
    shape, rng = (2, 3, 3), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, *shape))
    pixels[0, 0, 0] = 0, 255, 1
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [2, *shape], "data": pixels.ravel().tolist()}
    for data in (tensor["data"], pixels.tolist()):
        found = read_inputs({"inputs": [tensor | {"data": data}]}, shape, 2)
        assert np.array_equal(found, pixels)
        assert found[0].dtype == np.uint8
    files = [b"one", b"two"]
    coded = [base64.b64encode(file).decode() for file in files]
    named = {"name": "pictures", "datatype": "BYTES", "shape": [2], "data": coded}
    assert read_inputs({"inputs": [named], "id": "a"}, shape, 2) == files
    wrong = (
        ({"inputs": [named]}, 1),  # more than are taken at a time
        ({"inputs": [named | {"shape": [0], "data": []}]}, 2),
        ({"inputs": [named | {"shape": [True]}]}, 2),
        ({"inputs": [named | {"shape": [1]}]}, 2),
        ({"inputs": [named | {"shape": [2, 1]}]}, 2),
        ({"inputs": [named | {"name": "pixels"}]}, 2),
        ({"inputs": [named | {"data": ["no base64!", coded[0]]}]}, 2),
        ({"inputs": [named], "id": 3}, 2),
        ({"inputs": [named, named]}, 2),
        *(({"inputs": [tensor | {"data": [value, *tensor["data"][1:]]}]}, 2) for value in (-1, 256, 0.5, "1", None)),
        ({"inputs": [tensor | {"data": tensor["data"][1:]}]}, 2),
        ({"inputs": [tensor | {"shape": [2, 3, 2, 3]}]}, 2),
    )
    for request, most in wrong:
        with pytest.raises(Refused) as refused:
            read_inputs(request, shape, most)
        assert refused.value.status == 400


@pytest.mark.parametrize("probable", [True, False])
def test_the_inference_protocol_gives_the_tensors_that_are_wanted(probable):
    served = SimpleNamespace(name="digits", classes=["a", "b"], probable=probable)
    answers = [{"label": "b", "scores": [0.0, 2.0], "probabilities": {"a": 0.1, "b": 0.9}},
               {"label": "a", "scores": [3.0, 1.0], "probabilities": {"a": 0.8, "b": 0.2}}]  # fmt: skip
    all_of_them = {"label": ("BYTES", [2], ["b", "a"]), "scores": ("FP32", [2, 2], [0.0, 2.0, 3.0, 1.0])}
    all_of_them |= {"probabilities": ("FP32", [2, 2], [0.1, 0.9, 0.8, 0.2])} if probable else {}
    for named in (None, ["scores"], ["scores", "label"], list(all_of_them)):
        request = {"id": "x"} | ({} if named is None else {"outputs": [{"name": name} for name in named]})
        told = written(request, answers, served, wanted(request, served))
        assert (told["model_name"], told["id"]) == ("digits", "x")
        found = {tensor["name"]: (tensor["datatype"], tensor["shape"], tensor["data"]) for tensor in told["outputs"]}
        assert found == {name: all_of_them[name] for name in named or all_of_them}
    assert "id" not in written({}, answers, served, ["label"])
    unknown = "logits" if probable else "probabilities"
    for outputs in ([], "label", [{"name": "label"}, "scores"], [{"name": "label"}, {"name": unknown}], [{}]):
        with pytest.raises(Refused, match="outputs has to be"):
            wanted({"outputs": outputs}, served)


def test_the_clock_on_an_answer_begins_with_its_last_byte():
    """A body that takes longer than an answer may is no late answer."""

    async def slow(guard):
        sent = []
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [HOST], "scheme": "http"}

        async def receive():
            await asyncio.sleep(0.1)
            slow.left -= 1
            return {"type": "http.request", "body": b"x", "more_body": slow.left > 0}

        async def send(message):
            sent.append(message)

        slow.left = 6
        await guard(scope, receive, send)
        return sent[0]["status"]

    assert run(slow(guarded(limits=replace(LIMITS, answer_seconds=0.5)))) == 200
    assert run(slow(guarded(limits=HASTY))) == 503
