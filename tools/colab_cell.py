# On Colab this cell fetches the book and installs what Colab lacks, which takes one to
# three minutes, once. Anywhere else it takes no time and changes nothing.
import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path

machine = "in this kernel; nothing had to be installed"
if "google.colab" in sys.modules:
    url = os.environ.get("SEMCOM_REPO", "https://github.com/semcom-book/semcom-book")
    edition = os.environ.get("SEMCOM_EDITION", "v0.1.0")
    here, began = Path("/content/semcom-book"), time.time()

    def tell(*words):
        done = subprocess.run([*map(str, words)], capture_output=True, text=True)
        lacking = f"Remote branch {edition} not found" in done.stderr
        if done.returncode and not lacking:
            why = (done.stdout + done.stderr)[-2000:]
            raise RuntimeError(f"{' '.join(words[:4])} failed:\n{why}")
        return not lacking

    if not here.exists():
        print(f"1 of 2: fetching the book, edition {edition}", flush=True)
        clone = "git", "clone", "-q", "--depth", "1", url, here
        if not tell(*clone, "--branch", edition):
            print(f"there is no edition {edition} yet: this is the book of today")
            tell(*clone)
    if str(here) not in sys.path:
        # Colab's own torch and numpy stay: a kernel breaks under another version.
        print("2 of 2: installing what Colab lacks", flush=True)
        keep, own = here / "colab-keep.txt", ("numpy", "torch")
        keep.write_text("".join(f"{x}=={importlib.metadata.version(x)}\n" for x in own))
        tell(sys.executable, "-m", "pip", "install", "-c", keep, f"-e{here}[sweeps]")
        sys.path.insert(0, str(here))  # only the next kernel sees an editable install
        print(f"ready after {time.time() - began:.0f} s")
    os.chdir(here / "notebooks")
    machine = "on Colab's machine, with Colab's own PyTorch and NumPy"
print(f"This chapter runs {machine}. The mini models compute on the processor.")
