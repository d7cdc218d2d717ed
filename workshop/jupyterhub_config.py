"""JupyterHub for a class on one server. README.md beside this file says how to set it up.

On The Littlest JupyterHub a copy of this file goes into /opt/tljh/config/jupyterhub_config.d; passwords, spawner,
limits and idle culler are then TLJH's own, and only the first part below counts. Elsewhere the file is the whole
configuration: `jupyterhub -f workshop/jupyterhub_config.py`, as root, in the environment that holds the course.
"""

import os
import pwd
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub passes it)

DATA = Path("/srv/small-data/cache/datasets")  # published sets, owned by root: learners read and cannot write
TLJH = Path(__file__).resolve().parent.name == "jupyterhub_config.d"

# --- What a learner's server gets, on TLJH and elsewhere ---
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    # One thread a process: with idle threads that spin, LightGBM on busy cores was 40 times slower.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    # Tried first; what the course computes goes to each learner's own cache. A folder that is not there does no harm.
    "COURSE_DATA_MIRROR": str(DATA),
}
# By default a kernel talks over ports of the loopback device, and whoever is on the machine can listen to its outputs.
# These sockets are files in the learner's home. Their path has a limit of 107 bytes, hence the limit on names below.
c.Spawner.args = ["--KernelManager.transport=ipc"]
c.Authenticator.username_pattern = r"^[a-z][a-z0-9_-]{0,13}$"
# Only where systemd starts the servers: a /tmp of one's own, and new files that are closed to others.
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.unit_extra_properties = {"UMask": "0077"}


def close_home(spawner):
    """Close the learner's home folder to everybody else: many systems make it readable for all."""
    home = Path(pwd.getpwnam(spawner.user.name).pw_dir)
    home.chmod(stat.S_IMODE(home.stat().st_mode) & 0o700)


if not TLJH:
    os.umask(0o077)  # the hub's database, and whatever servers that it starts itself write
    c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # put a proxy with HTTPS before it, for instance Caddy or nginx
    c.Spawner.cmd = [str(Path(sys.executable).with_name("jupyterhub-singleuser"))]
    c.Spawner.pre_spawn_hook = close_home

    # System users of this group log in with their own password; nobody else does.
    c.JupyterHub.authenticator_class = "pam"
    c.PAMAuthenticator.allowed_groups = {"learners"}

    # For each learner. SystemdSpawner enforces both; LocalProcessSpawner and SimpleLocalProcessSpawner enforce neither.
    c.Spawner.mem_limit = "2G"
    c.Spawner.cpu_limit = 2.0
    if find_spec("systemdspawner") and Path("/run/systemd/system").is_dir():
        c.JupyterHub.spawner_class = "systemdspawner.SystemdSpawner"
    else:
        c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
        print("No systemd or no jupyterhub-systemdspawner: limits of memory and CPU are not enforced", file=sys.stderr)

    # A server without activity for an hour is stopped; files stay.
    culler = [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600", "--cull-every=300"]
    c.JupyterHub.services = [{"name": "idle-culler", "command": culler}]
    c.JupyterHub.load_roles = [
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        }
    ]
