"""A checkpoint is whole and of its role, or `load` says what is missing and what to do: no weight is ever random."""

import errno
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from semcom_utils.generation import ROLES, load, loading
from semcom_utils.generation.checksums import seal, verify
from semcom_utils.paths import MODELS

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("one_thread")
#: Role -> the folder that it opens.
FOLDERS = {role: MODELS / f"mini-{entry.mini or role}" for role, entry in ROLES.items()}
#: Roles that open each other's folders: the autoencoder is a part of a pipeline, two are read off one parser, and two
#: are one code at two rates. A personalised model may be a whole pipeline, and its autoencoder a whole autoencoder.
FIT = {
    ("subject", "text-to-image"),
    *(("subject-autoencoder", "autoencoder"), ("subject-autoencoder", "text-to-image")),
    ("autoencoder", "text-to-image"),
    *(("pose", "segmentation"), ("segmentation", "pose")),
    *(("witt-high", "witt-low"), ("witt-low", "witt-high")),
}
ONE_CONTROL = [role for role in ROLES if not role.startswith("controlnet-")] + ["controlnet-canny"]


@pytest.mark.parametrize("role", ONE_CONTROL)
def test_the_folder_of_another_role_is_refused(role):
    for other in ONE_CONTROL:
        if other == role or (role, other) in FIT:
            continue
        with pytest.raises(ValueError, match="^folder must hold"):
            load(role, folder=FOLDERS[other])


@pytest.fixture
def clip(tmp_path):
    """A copy of mini-clip without its sums, as a public folder is."""
    folder = shutil.copytree(FOLDERS["clip"], tmp_path / "clip")
    (folder / "SHA256SUMS").unlink()
    return folder


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "tokenizer.json"])
def test_a_file_that_is_missing_is_named(clip, file):
    (clip / file).unlink()
    with pytest.raises(ValueError, match=f"^folder must hold {file}.*not whole"):
        load("clip", "full", folder=clip)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_config_that_is_none_is_named(clip, text):
    (clip / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="^folder must hold a .*config.json"):
        load("clip", "full", folder=clip)


def lacking(weights):
    del weights["visual_projection.weight"]


def too_many(weights):
    weights["later.weight"] = torch.ones(3)


def misshapen(weights):
    weights["visual_projection.weight"] = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [(lacking, "lacks visual_"), (too_many, "has one too many: later"), (misshapen, "has in another size visual_")],
)
@pytest.mark.parametrize("role", ["clip"])
def test_weights_are_those_of_the_model(clip, change, says, role):
    weights = load_file(clip / "model.safetensors")
    change(weights)
    save_file(weights, clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"^folder must hold every weight of a CLIPModel.* {says}"):
        load(role, "full", folder=clip)


def test_a_part_of_a_pipeline_is_looked_through_as_well(tmp_path):
    folder = shutil.copytree(FOLDERS["text-to-image"], tmp_path / "pipeline")
    (folder / "SHA256SUMS").unlink()
    file = next((folder / "text_encoder").glob("*.safetensors"))
    weights = load_file(file)
    name = sorted(weights)[0]
    save_file({key: w for key, w in weights.items() if key != name}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"^folder must hold every weight of a CLIPTextModel.* lacks {name}"):
        load("text-to-image", folder=folder)
    shutil.rmtree(folder / "unet")
    with pytest.raises(ValueError, match="^folder must hold unet"):
        load("text-to-image", folder=folder)


def test_weights_that_do_nothing_may_lack(tmp_path):
    """Intel's file of the depth network has none for a stage that has nothing to add."""
    folder = shutil.copytree(FOLDERS["depth"], tmp_path / "depth")
    (folder / "SHA256SUMS").unlink()
    weights = load_file(folder / "model.safetensors")
    idle = [name for name in weights if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")]
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = load("depth", "full", folder=folder)(picture)
    for name in idle:
        del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert idle and torch.equal(before, load("depth", "full", folder=folder)(picture))


def test_a_file_that_is_cut_short_is_named_with_what_to_do(clip):
    file = clip / "model.safetensors"
    for length in (file.stat().st_size - 1, 100, 0):
        file.write_bytes(file.read_bytes()[:length])
        with pytest.raises(ValueError, match="^folder must hold whole files, .*model.safetensors.*--force-download"):
            load("clip", "full", folder=clip)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub's cache that holds a folder as the public clip."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / ("models--" + ROLES["clip"].repository.replace("/", "--"))
    snapshot = shutil.copytree(FOLDERS["clip"], repository / "snapshots" / ("0123456789" * 4))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123456789" * 4)
    (snapshot / "SHA256SUMS").unlink()
    return snapshot


def test_half_a_download_is_not_taken_for_a_whole_one(cache):
    whole = load("clip", "full").texts(["a red ball", "a blue cube"])
    assert (whole[0] != whole[1]).any()
    for file in ("tokenizer.json", "preprocessor_config.json", "config.json", "model.safetensors"):
        kept = (cache / file).rename(cache.parent / file)
        with pytest.raises(FileNotFoundError, match=rf"not whole in the cache.*{file}.*hf download openai/clip"):
            load("clip", "full")
        kept.rename(cache / file)
    (cache / "model.safetensors").write_bytes((cache / "model.safetensors").read_bytes()[:-7])
    with pytest.raises(ValueError, match="^folder must hold whole files.*force-download"):
        load("clip", "full")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "disk of the cache.* is full"),
        (errno.EROFS, "cannot be written to: set HF_HOME"),
        (errno.EACCES, "cannot be written to: set HF_HOME"),
    ],
)
def test_a_disk_is_not_taken_for_the_network(number, says, tmp_path, monkeypatch):
    import huggingface_hub

    def fetch(local_files_only=False, **options):
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        try:
            raise OSError(number, os.strerror(number), str(tmp_path))
        except OSError as error:
            raise RuntimeError("a wrapped one") from error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    with pytest.raises(FileNotFoundError, match=f"{says}.*RuntimeError"):
        load("clip", "full")
    assert loading._disk(TimeoutError()) == ""


@pytest.mark.parametrize("stray", [".DS_Store", "._config.json", "Thumbs.db", "config.json~", ".ipynb_checkpoints/x"])
def test_what_systems_leave_about_does_no_harm(stray, tmp_path, monkeypatch):
    folder = shutil.copytree(FOLDERS["soft-edges"], tmp_path / "mini-soft-edges")
    monkeypatch.setattr(loading, "MODELS", tmp_path)
    (folder / stray).parent.mkdir(exist_ok=True)
    (folder / stray).write_bytes(b"\0")
    assert load("soft-edges") is not None
    listed = (folder / "SHA256SUMS").read_bytes()
    seal(folder)
    assert (folder / "SHA256SUMS").read_bytes() == listed
    (folder / "more.safetensors").write_bytes(b"\0")
    with pytest.raises(ValueError, match="more.safetensors must be listed"):
        load("soft-edges")


def test_line_ends_of_windows_are_named_as_such(tmp_path):
    folder = shutil.copytree(FOLDERS["clip"], tmp_path / "mini-clip")
    config = folder / "config.json"
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(ValueError, match=r"config.json is whole but for its line ends.*autocrlf=false"):
        verify(folder)
    config.write_bytes(config.read_bytes() + b" ")
    with pytest.raises(ValueError, match="config.json is damaged"):
        verify(folder)


def test_a_link_that_became_a_text_is_told_from_damage(tmp_path):
    """So a link arrives where git, or whatever unpacked the book, can make none."""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(1000))
    seal(tmp_path)
    weights.write_text("../../mini-autoencoder/weights.bin")
    with pytest.raises(ValueError, match=r"weights.bin must be a link .*core.symlinks=true"):
        verify(tmp_path)


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout


def test_a_clone_with_windows_line_ends_has_the_same_bytes():
    """What `git clone -c core.autocrlf=true` would write: checkpoints keep their sums, scripts run."""
    files = ["data/models/mini-clip/config.json", "data/models/mini-clip/SHA256SUMS", ".ci/run", "Makefile"]
    out = git("-c", "core.autocrlf=true", "archive", "--worktree-attributes", "HEAD", *files)
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        for file in files:
            assert b"\r" not in archive.extractfile(file).read(), file
    (config,) = [line for line in (FOLDERS["clip"] / "SHA256SUMS").read_text().splitlines() if " config" in line]
    blob = git("cat-file", "blob", f"HEAD:{files[0]}")
    assert hashlib.sha256(blob).hexdigest() == config.split()[0]
