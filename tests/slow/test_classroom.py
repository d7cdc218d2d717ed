"""A real JupyterHub with real system users: nobody enters without a password, and no learner reads another's files.

Runs as root, on loopback, with users that it makes and removes. The hub's environment is the benchmark's.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

from environment_rules import ROOT

spec = spec_from_file_location("classroom", ROOT / "benchmarks" / "classroom.py")
classroom = module_from_spec(spec)
sys.modules["classroom"] = classroom
spec.loader.exec_module(classroom)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(classroom.missing()), reason=classroom.missing() or "-")]
NAMES = ["pupila", "pupilb"]
SECRET = "what only pupila may read"
# Run in a kernel: what becomes of reading, listing or writing a path.
ATTEMPT = """
import os
def attempt(how, path):
    try:
        if how == "list":
            return os.listdir(path) and "done"
        with open(path, how) as file:
            return "done" if how == "a" else file.read()
    except PermissionError:
        return "refused"
"""


@pytest.fixture(scope="module")
def room():
    """Two learners with running servers, the course and a kernel each; the address and the hub's process."""
    import psutil

    folder = classroom.environment()
    with classroom.users([*NAMES, "outsider"]) as passwords, classroom.course(folder) as repository:
        subprocess.run(["gpasswd", "--delete", "outsider", classroom.GROUP], check=True, capture_output=True)
        for name in NAMES:
            Path(pwd.getpwnam(name).pw_dir).chmod(0o755)  # as many systems make homes
        with classroom.hub(folder) as (url, pid):
            learners, kernels = [], []
            for name in NAMES:
                learner = classroom.Learner(url, name)
                assert learner.log_in(passwords[name])
                learner.start_server()
                learner.pull(repository)
                learners.append(learner)
                kernels.append(learner.kernel("course/notebooks/00_start_here.ipynb"))
                assert kernels[-1].text(ATTEMPT) == ""
            yield {
                "url": url,
                "hub": psutil.Process(pid),
                "passwords": passwords,
                "learners": learners,
                "kernels": kernels,
            }
    remaining = {entry.pw_name for entry in pwd.getpwall()}
    assert remaining.isdisjoint([*NAMES, "outsider"])


def server_of(name: str):
    """The process of a learner's server."""
    import psutil

    uid = pwd.getpwnam(name).pw_uid
    processes = [p for p in psutil.process_iter(["uids", "cmdline"]) if p.info["uids"].real == uid]
    return next(p for p in processes if any("jupyterhub-singleuser" in part for part in p.info["cmdline"]))


def attempt(kernel, how: str, path: object) -> str:
    return kernel.text(f"print(attempt({how!r}, {str(path)!r}))")


def test_servers_run_as_the_learner_in_the_shared_environment(room):
    for name, kernel in zip(NAMES, room["kernels"], strict=True):
        assert kernel.text("import getpass; print(getpass.getuser())") == name
        assert kernel.text("import course_lib; print(course_lib.__file__)") == str(ROOT / "course_lib" / "__init__.py")
        assert kernel.text("print(os.environ['OMP_NUM_THREADS'], os.getcwd())") == f"1 /home/{name}/course/notebooks"
    assert any("jupyterhub_idle_culler" in " ".join(p.cmdline()) for p in room["hub"].children())


# --- nobody enters without a password or a token ---
@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_is_refused(room, password):
    assert not classroom.Learner(room["url"], "pupila").log_in(password)


def test_a_system_user_outside_the_group_is_refused_with_the_right_password(room):
    assert not classroom.Learner(room["url"], "outsider").log_in(room["passwords"]["outsider"])


def test_hub_and_servers_answer_nothing_without_a_token(room):
    import requests

    first, second = room["learners"]
    port = next(c.laddr.port for c in server_of("pupila").net_connections(kind="tcp") if c.status == "LISTEN")
    direct = f"http://127.0.0.1:{port}/user/pupila"
    strangers = [{}, {"Authorization": "token " + "0" * 32}, {"Authorization": second.http.headers["Authorization"]}]
    for base in (first.home, direct):
        for path in ("/api/contents/course", "/api/kernels", "/git-pull/api?repo=x&branch=y", "/lab"):
            own = requests.get(f"{first.home}/api/contents/course", headers=first.http.headers, timeout=60)
            assert own.status_code == 200
            for headers in strangers:
                answer = requests.get(base + path, headers=headers, timeout=60, allow_redirects=False)
                to_login = answer.status_code == 302 and "/hub/" in answer.headers["Location"]
                assert answer.status_code in (401, 403) or to_login, (base + path, answer.status_code)
    assert requests.get(f"{room['url']}/hub/api/users", timeout=60).status_code == 403
    started = requests.post(f"{room['url']}/hub/api/users/pupila/server", headers=strangers[2], timeout=60)
    assert started.status_code in (403, 404)
    page = requests.get(f"{first.home}/lab", timeout=60)
    assert "/hub/login" in page.url


def test_a_kernel_cannot_be_listened_to(room):
    first, second = room["learners"]
    number = first.http.get(f"{first.home}/api/kernels", timeout=60).json()[0]["id"]
    for token in ("token " + "0" * 32, second.http.headers["Authorization"]):
        stranger = SimpleNamespace(home=first.home, http=SimpleNamespace(headers={"Authorization": token}))
        with pytest.raises(Exception, match="Handshake status 403"):
            classroom.Kernel(stranger, number)


LISTEN = """
import zmq
def listen(addresses):
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.subscribe(b"")
    for address in addresses:
        socket.connect(address)
    seen = []
    while socket.poll(8000 if not seen else 500):
        seen.append(b"".join(socket.recv_multipart()))
    return any(b"spoken aloud" in part for part in seen)
"""


def test_behind_the_server_only_the_learner_can_listen_to_a_kernel(room):
    first, second = room["learners"]
    listening = [c for c in server_of("pupila").net_connections(kind="tcp") if c.status == "LISTEN"]
    assert len(listening) == 1  # the server itself, which asks for a token
    runtime = Path("/home/pupila/.local/share/jupyter/runtime")
    kernel = first.http.get(f"{first.home}/api/kernels", timeout=60).json()[0]["id"]
    connection = json.loads((runtime / f"kernel-{kernel}.json").read_text())
    assert connection["transport"] == "ipc"
    outputs = f"ipc://{connection['ip']}-{connection['iopub_port']}"
    # ipykernel keeps one port, to which programs that a cell starts send their outputs
    children = server_of("pupila").children(recursive=True)
    ports = [c.laddr.port for p in children for c in p.net_connections(kind="tcp") if c.status == "LISTEN"]
    heard = {}
    for who, learner in (("own", first), ("other", second)):
        ear = learner.kernel(f"course/notebooks/ear-{who}.ipynb")
        assert ear.text(LISTEN) == ""
        code = f"print(listen({[outputs, *(f'tcp://127.0.0.1:{port}' for port in ports)]!r}))"
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ear.text, code)
            for _ in range(6):
                time.sleep(0.5)
                assert room["kernels"][0].text("print('spoken aloud')") == "spoken aloud"
            heard[who] = answer.result()
    assert heard == {"own": "True", "other": "False"}


# --- no learner reads another's files ---
def test_no_learner_reads_the_other_ones_files(room):
    first, second = room["kernels"]
    places = ["/home/pupila/notes.txt", "/home/pupila/course/notes.txt", "/tmp/pupila-notes.txt"]
    try:
        for place in places:
            assert first.text(f"open({place!r}, 'w').write({SECRET!r}); print('written')") == "written"
            assert attempt(first, "r", place) == SECRET
            for how in ("r", "a"):
                assert attempt(second, how, place) == "refused", place
        # what is opened to all can be read: the attempts above fail for the right reason
        assert first.text("os.chmod('/tmp/pupila-notes.txt', 0o644); print('opened')") == "opened"
        assert attempt(second, "r", "/tmp/pupila-notes.txt") == SECRET
    finally:
        Path("/tmp/pupila-notes.txt").unlink(missing_ok=True)
    assert attempt(second, "list", "/home/pupila") == "refused"
    assert attempt(second, "list", "/home/pupila/.local/share/jupyter/runtime") == "refused"
    assert stat.S_IMODE(os.stat("/home/pupila").st_mode) == 0o700


def test_a_link_in_ones_own_home_opens_nothing(room):
    second = room["learners"][1]
    assert room["kernels"][1].text("os.symlink('/home/pupila/course', '/home/pupilb/theirs'); print('made')") == "made"
    for path in ("theirs", "theirs/README.md"):
        answer = second.http.get(f"{second.home}/api/contents/{path}", timeout=60)
        assert answer.status_code in (403, 404, 500), answer.text[:300]
        assert "Small data" not in answer.text


def test_tokens_in_the_environment_and_the_hubs_state_are_closed(room):
    second = room["kernels"][1]
    own, other = server_of("pupilb").pid, server_of("pupila").pid
    assert "JUPYTERHUB_API_TOKEN" in attempt(second, "r", f"/proc/{own}/environ")
    for pid in (other, room["hub"].pid):
        assert attempt(second, "r", f"/proc/{pid}/environ") == "refused"
    state = room["hub"].cwd()
    assert Path(state, "jupyterhub.sqlite").is_file()
    assert attempt(second, "list", state) == "refused"
    for name in ("jupyterhub.sqlite", "jupyterhub_cookie_secret"):
        assert stat.S_IMODE(Path(state, name).stat().st_mode) == 0o600


def test_the_shared_environment_is_read_only(room):
    second = room["kernels"][1]
    environment = ROOT / "build" / "classroom" / "hub"
    for path in (ROOT / "README.md", ROOT / "course_lib" / "__init__.py", environment / "pyvenv.cfg"):
        assert attempt(second, "r", path) not in ("", "refused")
        assert attempt(second, "a", path) == "refused"
    packages = second.text("import numpy; print(os.path.dirname(numpy.__path__[0]))")
    assert Path(packages).is_dir()
    assert attempt(second, "a", f"{packages}/planted.py") == "refused"


# --- limits ---
def test_the_local_spawner_names_the_limit_and_does_not_enforce_it(room):
    """What workshop/README.md says; SystemdSpawner needs systemd and is not run here."""
    second = room["kernels"][1]
    server = server_of("pupilb").environ()
    assert int(server["MEM_LIMIT"]) == 2 * 2**30
    assert float(server["CPU_LIMIT"]) == 2.0
    assert second.text(f"held = b'x' * {2 * 2**30 + 2**20}; print(len(held)); del held") == str(2 * 2**30 + 2**20)


def test_a_learner_runs_cells_of_a_committed_lesson(room):
    first = room["learners"][0]
    path = "course/notebooks/00_start_here.ipynb"
    kernel = first.kernel(path)
    cells = first.code_cells(path)
    shown = [message for code in cells[:5] for message in kernel.execute(code)]
    assert shown
    assert [m for m in shown if "ename" in m] == []
    assert "ZeroDivisionError" in kernel.text("1 / 0")
