"""What the Makefile, Binder and the tests need to know and do about the environment. Runs without any package.

python tools/environment.py hash            name of the set-up: pins, Python's version, this folder
python tools/environment.py same PYTHON     exit 0 when PYTHON runs and has this interpreter's version
python tools/environment.py jupyter         JupyterLab and kernel settings into this interpreter's environment
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ("requirements.txt", "pyproject.toml", "tools/environment.py")

# No news pop-up over the first notebook, no look-up of newer versions.
LAB_OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    }
}
# With idle OpenMP threads that spin, LightGBM on busy cores was 40 times slower.
KERNEL_ENV = {"OMP_WAIT_POLICY": "passive"}


def one_code_path() -> dict[str, str]:
    """Variables by which NumPy, OpenBLAS and torch calculate as on any processor with AVX2; none where there is none.

    With AVX-512 sums are added up in another order: other last digits, so that a tree cuts elsewhere, and a lesson's
    mean error reads 43.2 K instead of 42.7. Lessons are built, tested and taught with the same instructions.
    """
    try:
        import numpy as np
    except ImportError:
        return {}
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})  # a list without entries is left out
    baseline, found, missing = (simd.get(name, []) for name in ("baseline", "found", "not found"))
    if not {"X86_V3", "AVX2"} & {*baseline, *found}:  # the names since NumPy 2.4, and before
        return {}
    beyond = [name for name in (*found, *missing) if name == "X86_V4" or name.startswith("AVX512")]
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(beyond),
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
    }


def pins_hash(root: Path = ROOT) -> str:
    """Return 12 hexadecimal digits that change with the pins, Python's minor version and the checkout's folder."""
    digest = hashlib.sha256()
    for name in PINS:
        digest.update((root / name).read_bytes().replace(b"\r\n", b"\n"))
    digest.update(repr((sys.version_info[:2], str(root))).encode())
    return digest.hexdigest()[:12]


def same_version(python: str) -> bool:
    """Tell whether ``python`` runs and has the minor version of the interpreter that runs this."""
    code = "import sys, pip; print(sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == str(sys.version_info[:2])


def configure_jupyter(prefix: Path) -> list[Path]:
    """Write JupyterLab's defaults and the kernel's environment under ``prefix`` and return the files written."""
    overrides = prefix / "share/jupyter/lab/settings/overrides.json"
    settings = json.loads(overrides.read_text()) if overrides.exists() else {}
    for plugin, values in LAB_OVERRIDES.items():
        settings.setdefault(plugin, {}).update(values)
    overrides.parent.mkdir(parents=True, exist_ok=True)
    overrides.write_text(json.dumps(settings, indent=2) + "\n")
    written = [overrides]
    kernel = prefix / "share/jupyter/kernels/python3/kernel.json"
    if kernel.exists():
        spec = json.loads(kernel.read_text())
        spec.setdefault("env", {}).update(KERNEL_ENV, **one_code_path())
        kernel.write_text(json.dumps(spec, indent=1) + "\n")
        written.append(kernel)
    return written


def main(arguments: list[str]) -> int:
    """Run one of the commands in this module's description."""
    match arguments:
        case ["hash"]:
            print(pins_hash())
        case ["same", python]:
            return 0 if same_version(python) else 1
        case ["jupyter"]:
            for path in configure_jupyter(Path(sys.prefix)):
                print(f"wrote {path.relative_to(sys.prefix)}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
