"""The server's promises at full size: half-open connections, uploads, bombs, killed decoders, foreign names, latency.

    PYTHONPATH=tests python benchmarks/serving.py RUN PICTURES [what …]     # a run folder, a folder of photos

Prints what was seen as JSON, and writes it beside this file. Times are worse on a busy machine: `load` says how busy.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from bombs import BOMBS
from linearhead.experiment import Service
from linearhead.images import Unreadable, decode
from linearhead.server import Question
from server_process import Running, foreign_hosts, foreign_origins, kill

HERE = Path(__file__).resolve().parent


def timed(ask, files, repeats):
    """Seconds of each ask(file)."""
    found = []
    for _ in range(repeats):
        for file in files:
            begin = time.perf_counter()
            ask(file)
            found.append(time.perf_counter() - begin)
    return np.array(found)


def percentiles(seconds):
    return {f"p{q}_ms": round(1e3 * float(np.percentile(seconds, q)), 1) for q in (50, 90, 99)}


def half_open(run, files, amount=1000):
    """Silent ones, half a head, half a body, and each of them a byte a second; good requests all the while."""
    with Running(run) as server:
        head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n"
        begun = [b"", b"GET / HT", head.encode(), head.encode() + b"\r\nxy"]
        opened, closed = {}, {}
        for i in range(amount):
            s = socket.create_connection(("127.0.0.1", server.port))
            s.setblocking(False)
            s.send(begun[i % 4])
            opened[s] = (time.monotonic(), i % 8 >= 4)
        good, last = [], time.monotonic()
        while len(closed) < amount and time.monotonic() - max(t for t, _ in opened.values()) < 15:
            begin = time.perf_counter()
            assert server.ask("POST", "/predict", files[len(good) % len(files)])[0] == 200
            good.append(time.perf_counter() - begin)
            waiting = [s for s in opened if s not in closed]
            poll = select.poll()
            for s in waiting:
                poll.register(s, select.POLLIN)
            ready = {number for number, _ in poll.poll(20)}
            for s in waiting:
                if s.fileno() in ready:
                    with contextlib.suppress(BlockingIOError):
                        try:
                            gone = not s.recv(4096)
                        except OSError as error:
                            gone = not isinstance(error, BlockingIOError)
                        if gone:
                            closed[s] = time.monotonic() - opened[s][0]
                elif opened[s][1] and time.monotonic() - last > 1:
                    with contextlib.suppress(OSError):
                        s.send(b"x")
            if time.monotonic() - last > 1:
                last = time.monotonic()
        slowest = max(closed.values())
        return {"connections": amount, "closed": len(closed), "slowest_s": round(slowest, 2), "good": len(good),
                **percentiles(good)}  # fmt: skip


def huge_upload(run, files):
    """One GiB, its length said, and unsaid; as fast as it is taken."""
    chunk, found = b"100000\r\n" + b"x" * 2**20 + b"\r\n", {}
    for how, stated in (("stated", f"Content-Length: {2**30}"), ("unsaid", "Transfer-Encoding: chunked")):
        with Running(run) as server:
            assert server.ask("POST", "/predict", files[0])[0] == 200
            before, sent, answer = server.resident(), 0, b""
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
                head = f"POST /predict HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: image/png\r\n{stated}\r\n\r\n"
                s.sendall(head.encode())
                with contextlib.suppress(OSError):
                    while sent < 2**30:
                        s.sendall(chunk)
                        sent += 2**20
                with contextlib.suppress(OSError):
                    answer = s.recv(100)
            peak = server.resident(peak=True)
            assert server.ask("POST", "/predict", files[0])[0] == 200
        found[how] = {"taken_mib": sent >> 20, "answer": answer[:12].decode(), "peak_more_mib": (peak - before) >> 20}
    return found


def many_bombs(run, files):
    """Every kind there is; a good picture after each."""
    seconds, memory, unread = {}, {}, 0
    with Running(run) as server, ThreadPoolExecutor(1) as pool:
        for _ in range(8):
            server.ask("POST", "/predict", files[0])
        base = min(server.resident(child) for child in server.children())
        for name, made in BOMBS.items():
            bomb, begin = made(), time.perf_counter()
            asked, memory[name] = pool.submit(server.ask, "POST", "/predict", bomb), 0
            while not wait([asked], timeout=0.02).done:  # one that dies takes its figure along
                memory[name] = max(memory[name], peak(server) - base)
            seconds[name] = time.perf_counter() - begin
            memory[name] = max(memory[name], peak(server) - base)
            status = asked.result()[0]
            assert status in (200, 422), name
            unread += status == 422
            assert server.ask("POST", "/predict", files[0])[0] == 200, name
    slowest, largest = (max(found, key=lambda name: found[name]) for found in (seconds, memory))
    return {
        "kinds": len(BOMBS),
        "refused": unread,
        "slowest": slowest,
        "slowest_s": round(seconds[slowest], 2),
        "beyond_2_s": [name for name, s in seconds.items() if s > 2],
        "decoder_peak_more_mib": memory[largest] >> 20,
    }


def peak(server):
    """The most memory that a decoder has had."""
    found = [0]
    for child in server.children():
        with contextlib.suppress(OSError, StopIteration):  # it has just ended
            found.append(server.resident(child, peak=True))
    return max(found)


def foreign(run, files):
    """40 names and 20 origins, each name with each origin, each alone, on every route."""
    with Running(run) as server, ThreadPoolExecutor(4) as pool:
        hosts, origins = foreign_hosts(server.port), foreign_origins(server.port)
        paths = server.ask("GET", "/openapi.json")[2]["paths"]
        routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
        routes += [("GET", "/openapi.json"), ("GET", "/nowhere"), ("OPTIONS", "/predict")]
        heads = [{"Host": host, "Origin": origin} for host in hosts for origin in origins]
        heads += [{"Host": host} for host in hosts] + [{"Origin": origin} for origin in origins]
        asked = [(method, path, head) for method, path in dict.fromkeys(routes) for head in heads]

        def ask(request):
            method, path, head = request
            status, told, _ = server.ask(method, path, files[0] if method == "POST" else None, **head)
            return status in (400, 403, 421), any(name.startswith("access-control") for name in told)

        answers = list(pool.map(ask, asked))
        assert server.ask("POST", "/predict", files[0])[0] == 200
    return {
        "routes": len(dict.fromkeys(routes)),
        "hosts": len(hosts),
        "origins": len(origins),
        "requests": len(asked),
        "not_refused": sum(not refused for refused, _ in answers),
        "told_that_others_may_read": sum(told for _, told in answers),
    }


def killed(run, files, amount=100):
    """Decoders killed under load; nobody may notice."""
    with Running(run, decoders=3) as server, ThreadPoolExecutor(6) as pool:
        dead, statuses, asked = 0, [], []
        while dead < amount:
            asked += [pool.submit(server.ask, "POST", "/predict", files[i % len(files)]) for i in range(6)]
            children = server.children()
            if len(children) >= 2:
                kill(children[dead % len(children)])
                dead += 1
            time.sleep(0.05)
            while len(asked) > 60:
                statuses.append(asked.pop(0).result()[0])
        statuses += [future.result()[0] for future in asked]
    return {"killed": dead, "requests": len(statuses), "not_200": sum(status != 200 for status in statuses)}


def latency(run, files, repeats=3):
    """One picture at a time: the same work called from Python, and asked for over HTTP, by turns: on one connection by
    a client that does no more than it must, on one by http.client, and by http.client on a new one each time."""
    service, found = Service(run), {}
    with Running(run) as server, contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as kept:
        lean = socket.create_connection(("127.0.0.1", server.port))
        ways = {
            "python": lambda f: service.answers([Question(decode(f, service.preprocessing)[0])]),
            "http": lambda f: sent(lean, server.host, f),
            "http_client": lambda f: posted(kept, f),
            "http_client_new": lambda f: server.ask("POST", "/predict", f),
        }
        for file in files[:5] + files * repeats:
            for name, way in ways.items():
                found.setdefault(name, []).append(timed(way, [file], 1)[0])
        begin = time.perf_counter()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda f: server.ask("POST", "/predict", f), files * repeats))
        rate = len(files) * repeats / (time.perf_counter() - begin)
        lean.close()
    median = {name: float(np.median(seconds[5:])) for name, seconds in found.items()}
    return {
        **{name: percentiles(seconds[5:]) for name, seconds in found.items()},
        "ratio_of_medians": {name: round(median[name] / median["python"], 2) for name in ways},
        "pictures_a_second_16_at_a_time": round(rate, 1),
    }


def sent(connection, host, file):
    """One request, and its answer to the last byte."""
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: {len(file)}\r\n\r\n"
    connection.sendall(head.encode() + file)
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < size:
        body += connection.recv(65536)
    assert head.startswith(b"HTTP/1.1 200"), head


def posted(connection, file):
    connection.request("POST", "/predict", file, {"Content-Type": "image/png"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200


WORK = {work.__name__: work for work in (half_open, huge_upload, many_bombs, killed, foreign, latency)}


def main() -> None:
    run, pictures, *names = sys.argv[1:]
    files = []
    service = Service(run)
    for path in sorted(p for p in Path(pictures).rglob("*") if p.is_file())[::20][:100]:
        with contextlib.suppress(Unreadable):
            decode(path, service.preprocessing)
            files.append(path.read_bytes())
    place = HERE / "serving.json"
    found = json.loads(place.read_text()) if place.exists() else {}
    for name in names or WORK:
        found[name] = WORK[name](Path(run), files) | {"load": round(os.getloadavg()[0], 1)}
        print(name, json.dumps(found[name]), flush=True)
        place.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
