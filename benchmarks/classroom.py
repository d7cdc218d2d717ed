"""How many learners a server carries: a real JupyterHub, and N learners who run lessons 01 and 03 at the same moment.

Learners are system users that the script makes and removes, so it must run as root. Each logs in with a password, takes
the committed course through nbgitpuller, and runs both notebooks cell by cell over REST and WebSocket, FAST, with an
empty cache, without pausing, and leaves both kernels open. That is the hardest a class can be on a server: people read
between cells. The hub is workshop/jupyterhub_config.py on loopback, in an environment of its own (build/classroom).

    python benchmarks/classroom.py             4 and 8 learners, the table in results/bench_classroom.csv
    python benchmarks/classroom.py --trial     2 learners, lesson 01: does it run? writes nothing

Memory is the proportional set size (PSS): a page that k processes share counts 1/k for each, so that the learners' sum
is what the server needs. The rows for 30 and 100 learners are extrapolated: memory and times from the straight line
through the two measured rows, CPU time from the larger class's mean for a learner.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from measuring import RESULTS, ROOT, keep

TABLE = RESULTS / "bench_classroom.csv"
REQUIREMENTS = Path(__file__).with_name("requirements-classroom.txt")
CONFIG = ROOT / "workshop" / "jupyterhub_config.py"
PROXY = "configurable-http-proxy@5.3.0"
GROUP = "learners"  # who may log in, by the configuration
LESSONS = ("01_why_small_data_fails", "03_group_kfold_lightgbm")
SHOWS = ("stream", "display_data", "execute_result")


def missing() -> str:
    """Say what keeps this machine from running a classroom; empty when nothing does."""
    if os.name == "nt" or os.geteuid() != 0:
        return "it makes system users, and that needs root"
    if not open_to_all(ROOT):
        return f"other users cannot read {ROOT}: put the checkout where all can, for instance under /srv"
    programs = [name for name in ("useradd", "userdel", "chpasswd", "git", "node", "npm") if not shutil.which(name)]
    return f"these programs are not there: {', '.join(programs)}" if programs else ""


def environment() -> Path:
    """Folder with the hub's environment in ``hub/`` and its proxy in ``proxy/``, made when it is not there.

    Learners must be able to run its Python, so it does not come from root's home. The course's own packages are those
    of the running environment, by a line in a .pth file: what a class shares is installed once.
    """
    folder = ROOT / "build" / "classroom"
    hub, stamp = folder / "hub", folder / "installed.txt"
    wanted = REQUIREMENTS.read_text() + PROXY + sys.version
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    print("making the environment of the hub (once, a minute or two)", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"python3.{sys.version_info.minor}"
    shared = [Path(sys.base_prefix, "bin", name), Path("/usr/bin", name), Path("/usr/local/bin", name)]
    usable = [path for path in shared if path.exists() and open_to_all(path)]
    if not usable:
        raise SystemExit(f"no {name} that every user may run: tried {', '.join(map(str, shared))}")
    run([usable[0], "-m", "venv", "--clear", "--without-pip", hub])
    pip = [sys.executable, "-m", "pip", "--python", hub / "bin" / "python", "install", "--quiet"]
    run([*pip, "-c", ROOT / "requirements.txt", "-r", REQUIREMENTS])
    packages = next(Path(sys.prefix).glob("lib/python3.*/site-packages"))
    (next(hub.glob("lib/python3.*/site-packages")) / "course.pth").write_text(
        f"import site; site.addsitedir({str(packages)!r})\n"
    )
    run(["npm", "install", "--prefix", folder / "proxy", "--no-audit", "--no-fund", "--loglevel=error", PROXY])
    stamp.write_text(wanted)
    return folder


def open_to_all(path: Path) -> bool:
    """Tell whether every user may reach a folder or run a program."""
    real = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (real, *real.parents))


def run(command: list[object], **options: object) -> subprocess.CompletedProcess:
    """Run a command and end with what it said when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{(done.stderr or done.stdout)[-3000:]}")
    return done


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def users(names: list[str]) -> Iterator[dict[str, str]]:
    """Make system users with random passwords and, at the end, end their processes and remove them with their homes."""
    import psutil

    taken = {entry.pw_name for entry in pwd.getpwall()} & set(names)
    if taken:
        raise SystemExit(f"these users exist already, and are not touched: {', '.join(sorted(taken))}")
    passwords = {name: secrets.token_urlsafe(12) for name in names}
    made, new_group = [], GROUP not in {entry.gr_name for entry in grp.getgrall()}
    try:
        if new_group:
            run(["groupadd", GROUP])
        for name in names:
            run(["useradd", "--create-home", "--groups", GROUP, "--shell", "/bin/bash", name])
            made.append(name)
        run(["chpasswd"], input="".join(f"{name}:{password}\n" for name, password in passwords.items()))
        yield passwords
    finally:
        ids = {pwd.getpwnam(name).pw_uid for name in made}
        left = [process for process in psutil.process_iter(["uids"]) if process.info["uids"].real in ids]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)
        for name in made:
            subprocess.run(["userdel", "--remove", name], capture_output=True, check=False)
        if new_group:
            subprocess.run(["groupdel", GROUP], capture_output=True, check=False)


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, int]]:
    """Start the hub and its proxy on loopback; give its address and process id, and stop it at the end."""
    import requests

    ports = [free_port() for _ in range(3)]
    url = f"http://127.0.0.1:{ports[0]}"
    path = f"{folder / 'hub' / 'bin'}:{folder / 'proxy' / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k in ("LANG", "LC_ALL", "TZ")}
    with tempfile.TemporaryDirectory(prefix="classroom-") as state, Path(state, "hub.log").open("w+") as log:
        process = subprocess.Popen(
            [
                *(str(folder / "hub" / "bin" / "jupyterhub"), "-f", str(CONFIG)),
                f"--JupyterHub.bind_url={url}",
                f"--JupyterHub.hub_port={ports[1]}",
                f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{ports[2]}",
            ],
            cwd=state,
            env={"PATH": path, "HOME": state, **kept},
            stdout=log,
            stderr=log,
        )
        try:
            for _ in range(120):
                try:
                    requests.get(f"{url}/hub/login", timeout=5).raise_for_status()
                    break
                except requests.RequestException:
                    time.sleep(1)
                if process.poll() is not None:
                    break
            else:
                process.terminate()
            if process.poll() is not None:
                raise SystemExit(f"the hub does not start:\n{Path(state, 'hub.log').read_text()[-3000:]}")
            yield url, process.pid
        finally:
            process.terminate()  # it stops the servers and the proxy
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def course(folder: Path) -> Iterator[str]:
    """Serve the committed course by git on loopback and give its address, as a public repository would be."""
    bare = folder / "git" / "course"
    shutil.rmtree(bare.parent, ignore_errors=True)
    run(["git", "clone", "--quiet", "--bare", ROOT, bare])
    run(["git", "-C", bare, "branch", "--force", "class", "HEAD"])
    port = free_port()
    daemon = ["git", "daemon", "--export-all", f"--base-path={bare.parent}", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"git://127.0.0.1:{port}/course"
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


class Learner:
    """A learner as the server sees one: logs in, starts a server, takes the course, runs cells."""

    def __init__(self, url: str, name: str) -> None:
        import requests

        self.url, self.name = url, name
        self.home = f"{url}/user/{name}"
        self.http = requests.Session()

    def log_in(self, password: str) -> bool:
        """Log in at the form and ask for a token; False when the hub refuses."""
        self.http.get(f"{self.url}/hub/login", timeout=60)
        token = self.http.cookies.get("_xsrf", path="/hub/")
        form = {"username": self.name, "password": password, "_xsrf": token}
        answer = self.http.post(f"{self.url}/hub/login", data=form, params={"next": "/hub/home"}, timeout=60)
        if answer.status_code == 403:
            return False
        answer.raise_for_status()
        token = self.http.cookies.get("_xsrf", path="/hub/")
        headers = {"X-XSRFToken": token, "Referer": f"{self.url}/hub/token"}
        answer = self.http.post(f"{self.url}/hub/api/users/{self.name}/tokens", json={}, headers=headers, timeout=60)
        answer.raise_for_status()
        self.http.cookies.clear()
        self.http.headers["Authorization"] = f"token {answer.json()['token']}"
        return True

    def start_server(self, seconds: float = 300) -> None:
        """Ask for the server and wait until it answers."""
        answer = self.http.post(f"{self.url}/hub/api/users/{self.name}/server", timeout=seconds)
        answer.raise_for_status()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            me = self.http.get(f"{self.url}/hub/api/users/{self.name}", timeout=60).json()
            if me.get("servers", {}).get("", {}).get("ready"):
                return
            time.sleep(0.3)
        raise TimeoutError(f"the server of {self.name} was not ready within {seconds:g} s")

    def pull(self, repository: str) -> None:
        """Do what a click on an nbgitpuller link does."""
        what = {"repo": repository, "branch": "class", "targetpath": "course"}
        with self.http.get(f"{self.home}/git-pull/api", params=what, stream=True, timeout=300) as answer:
            answer.raise_for_status()
            events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: ")]
        if not events or events[-1].get("phase") != "finished":
            raise RuntimeError(f"nbgitpuller: {events[-1:]}")

    def kernel(self, path: str) -> Kernel:
        """Start a kernel for a notebook, in the notebook's folder."""
        what = {"path": path, "name": Path(path).name, "type": "notebook", "kernel": {"name": "python3"}}
        answer = self.http.post(f"{self.home}/api/sessions", json=what, timeout=300)
        answer.raise_for_status()
        return Kernel(self, answer.json()["kernel"]["id"])

    def code_cells(self, path: str) -> list[str]:
        """Read a notebook's code from the learner's copy."""
        answer = self.http.get(f"{self.home}/api/contents/{path}", timeout=60)
        answer.raise_for_status()
        return [cell["source"] for cell in answer.json()["content"]["cells"] if cell["cell_type"] == "code"]


class Kernel:
    """A kernel behind the hub, over its WebSocket."""

    def __init__(self, learner: Learner, number: str) -> None:
        import websocket

        self.socket = websocket.create_connection(
            f"{learner.home.replace('http', 'ws', 1)}/api/kernels/{number}/channels",
            header=[f"Authorization: {learner.http.headers['Authorization']}"],
            timeout=600,
        )

    def execute(self, code: str) -> list[dict]:
        """Run a cell; its messages that show something or report an error, each with its time."""
        number = uuid4().hex
        header = {"msg_id": number, "username": "", "session": number, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self.socket.send(json.dumps(message))
        found, open_ends = [], {"execute_reply", "idle"}
        while open_ends:
            answer = self.socket.recv()
            if not isinstance(answer, str):  # a message with buffers, from a widget
                continue
            answer = json.loads(answer)
            if (answer.get("parent_header") or {}).get("msg_id") != number:
                continue
            kind = answer["msg_type"]
            if kind == "status":
                open_ends.discard(answer["content"]["execution_state"])
            elif kind == "execute_reply":
                open_ends.discard(kind)
            elif kind == "error" or kind in SHOWS:
                found.append({"type": kind, "at": time.perf_counter(), **answer["content"]})
        return found

    def text(self, code: str) -> str:
        """Return what a cell prints, or its error's name and text."""
        return "".join(m.get("text", "") or f"{m.get('ename')}: {m.get('evalue')}" for m in self.execute(code)).strip()


class Gauge(threading.Thread):
    """Once a second, the memory of each learner and of the hub."""

    def __init__(self, names: list[str], hub: int) -> None:
        super().__init__(daemon=True)
        self.uids = {pwd.getpwnam(name).pw_uid: name for name in names}
        self.hub, self.done = hub, threading.Event()
        self.peaks, self.total, self.hub_peak = dict.fromkeys(names, 0.0), 0.0, 0.0

    def run(self) -> None:
        """Read until ``done`` is set."""
        import psutil

        while not self.done.wait(1):
            now = dict.fromkeys(self.peaks, 0.0)
            for process in psutil.process_iter(["pid", "uids"]):
                name = self.uids.get(process.info["uids"].real) if process.info["uids"] else None
                if name:
                    now[name] += pss(process.info["pid"])
            own = [self.hub, *(child.pid for child in psutil.Process(self.hub).children(recursive=True))]
            learners = {p.pid for p in psutil.process_iter(["uids"]) if p.info["uids"].real in self.uids}
            hub = sum(pss(pid) for pid in set(own) - learners)
            self.hub_peak = max(self.hub_peak, hub)
            self.total = max(self.total, hub + sum(now.values()))
            self.peaks = {name: max(value, now[name]) for name, value in self.peaks.items()}


def pss(pid: int) -> float:
    """Proportional set size of a process in MB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_seconds(uid: int) -> float:
    """CPU time of a user's processes and of those that they waited for."""
    import psutil

    times = []
    for process in psutil.process_iter(["uids", "cpu_times"]):
        if process.info["uids"].real == uid and process.info["cpu_times"]:
            t = process.info["cpu_times"]
            times.append(t.user + t.system + t.children_user + t.children_system)
    return sum(times)


def attend(
    learner: Learner, password: str, repository: str, lessons: tuple[str, ...], begin: threading.Barrier
) -> dict:
    """One learner's class: times in seconds since the server was asked for, cells run, and what failed."""
    failures, cells, first = [], 0, None
    begin.wait()
    if not learner.log_in(password):
        raise RuntimeError(f"{learner.name} cannot log in")
    start = time.perf_counter()
    learner.start_server()
    ready = time.perf_counter()
    learner.pull(repository)
    for lesson in lessons:
        path = f"course/notebooks/{lesson}.ipynb"
        kernel = learner.kernel(path)
        for number, code in enumerate(learner.code_cells(path), 1):
            shown = kernel.execute(code)
            cells += 1
            failures += [f"{lesson}, code cell {number}: {m['ename']}: {m['evalue']}" for m in shown if "ename" in m]
            first = first or next((m["at"] for m in shown if m["type"] in SHOWS), None)
    end = time.perf_counter()
    return {"ready": ready - start, "first": first - start, "total": end - start, "cells": cells, "failures": failures}


def hold_class(folder: Path, n: int, lessons: tuple[str, ...]) -> dict:
    """Let n learners run the lessons at once, and return the row of the table."""
    names = [f"learner{number:02d}" for number in range(1, n + 1)]
    with users(names) as passwords, course(folder) as repository, hub(folder) as (url, pid):
        gauge = Gauge(names, pid)
        gauge.start()
        begin = threading.Barrier(n)
        with ThreadPoolExecutor(n) as pool:
            jobs = [
                pool.submit(attend, Learner(url, name), passwords[name], repository, lessons, begin) for name in names
            ]
            runs = [job.result() for job in jobs]
        cpu = [cpu_seconds(pwd.getpwnam(name).pw_uid) for name in names]
        gauge.done.set()
        gauge.join()
    failures = [failure for one in runs for failure in one["failures"]]
    for failure in sorted(set(failures)):
        print(f"FAILED {failures.count(failure)} times: {failure}")
    return {
        "learners": n,
        "basis": "measured",
        "first_result_seconds_median": statistics.median(one["first"] for one in runs),
        "first_result_seconds_worst": max(one["first"] for one in runs),
        "total_seconds_worst": max(one["total"] for one in runs),
        "cpu_seconds_each": statistics.mean(cpu),
        "memory_each_mb": statistics.mean(gauge.peaks.values()),
        "memory_hub_mb": gauge.hub_peak,
        "memory_total_mb": gauge.total,
        "cells": sum(one["cells"] for one in runs),
        "failures": len(failures),
    }


def extrapolate(small: dict, large: dict, n: int) -> dict:
    """Row for n learners: the straight line through two classes; CPU time for each as in the larger one."""

    def line(key: str) -> float:
        slope = (large[key] - small[key]) / (large["learners"] - small["learners"])
        return large[key] + slope * (n - large["learners"])

    keys = ("first_result_seconds_median", "first_result_seconds_worst", "total_seconds_worst", "memory_total_mb")
    row = {"learners": n, "basis": f"line through {small['learners']} and {large['learners']}"}
    return row | {key: line(key) for key in keys} | {"cpu_seconds_each": large["cpu_seconds_each"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", action="store_true", help="2 learners, lesson 01; writes nothing")
    options = parser.parse_args()
    if missing():
        print(f"classroom: not run, {missing()}")
        return

    import pandas as pd

    folder = environment()
    if options.trial:
        table = pd.DataFrame([hold_class(folder, 2, LESSONS[:1])])
        print(table.round(2).T.to_string(header=False))
        raise SystemExit(int(table["failures"].sum() > 0))
    rows = []
    for n in (4, 8):
        rows.append(hold_class(folder, n, LESSONS))
        print(
            {key: value if isinstance(value, str) else round(value, 1) for key, value in rows[-1].items()}, flush=True
        )
    table = pd.DataFrame([*rows, *(extrapolate(*rows, n) for n in (30, 100))])
    # How far the processor alone explains the time; near 1 the straight line may be carried on, and cores divide it.
    busy = table["learners"] * table["cpu_seconds_each"]
    table["cpu_share_of_time"] = busy / os.cpu_count() / table["total_seconds_worst"]
    table["cores_for_10_minutes"] = (busy / 600).apply(lambda cores: max(1, -int(-cores // 1)))
    table = table.round(2)
    print(table.T.to_string(header=False))
    keep(table, TABLE)
    print(f"{', '.join(LESSONS)}, all learners at once, {os.cpu_count()} cores")
    raise SystemExit(int(table["failures"].sum() > 0))


if __name__ == "__main__":
    main()
