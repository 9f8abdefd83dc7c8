# On Colab, fetch the book and install what it needs; anywhere else this cell does nothing.
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

if "google.colab" in sys.modules:
    url = os.environ.get("SEMCOM_REPO", "https://github.com/semcom-book/semcom-book")
    here = Path("/content/semcom-book")
    if not here.exists():
        subprocess.run(["git", "clone", "-q", "--depth", "1", url, str(here)], check=True)
    if str(here) not in sys.path:
        # Colab's own torch and numpy stay: a kernel that has loaded one version breaks under another.
        keep = here / "colab-keep.txt"
        keep.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in ("numpy", "torch")))
        pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(keep), "-e", f"{here}[sweeps]"]
        subprocess.run(pip, check=True)
        sys.path.insert(0, str(here))  # an editable install is seen only by the next kernel
    os.chdir(here / "notebooks")
