"""The lab's files: the mini models as ONNX, what the page must know of them, and the runtime that computes them.

    python tools/export_lab.py [FOLDER]

``make book`` runs this after Sphinx, into ``_build/html/_static/lab``. Nothing of it is tracked: the weights stand
once in the tree, in ``data/models``, and the runtime as a packed file in ``tools/onnxruntime_web``. What was exported
is kept in ``_build/lab`` and made anew only when the checkpoints, the runtime or this file change.

A network's weights travel as float16 where that loses nothing, which is how the checkpoints store them; a ``Cast``
takes them to float32 before anything is computed. Everything large travels gzipped, whether or not a server does that:
the page unpacks it.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import logging
import lzma
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's package, whatever is installed

from semcom_utils.paths import MODELS, RESULTS, ROOT  # noqa: E402

HERE = Path(__file__).resolve().parent
RUNTIME = HERE / "onnxruntime_web"
SITE, KEPT = ROOT / "_build" / "html" / "_static" / "lab", ROOT / "_build" / "lab"
#: What the page and the book compute with: the setting of the chapter on split denoising.
GUIDANCE = 3.0
OPSET = 18
#: The study that says how alike two seeds' pictures of a caption are.
STUDY = "semaigc_root/pictures"
#: Modules that `known` takes from.
KNOWN_FROM = ("generation/judging", "generation/words", "toyworld/grammar", "toyworld/scene")
#: Numbers of a network that are not worth a cast.
FEW = 256
#: Networks that the page fetches only when a reader asks for what they do.
LATER = ("control",)


def networks() -> dict[str, tuple[Any, tuple, list[str], list[str]]]:
    """What is exported: name -> module, example arguments, names of inputs, names of outputs.

    The batch is part of an exported graph: two captions (none, and the reader's) for guidance, one picture elsewhere.
    What a control network adds to the denoiser's layers is an input of the denoiser, and zero where there is no map.
    """
    import torch

    from semcom_utils.generation import load

    pipe, detector, controlled = load("text-to-image"), load("detector"), load("controlnet-canny").controlnet

    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = pipe.text_encoder

        def forward(self, tokens):
            return self.encoder(tokens).last_hidden_state

    class Denoiser(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = pipe.unet

        def forward(self, z, t, words, *added):
            *down, middle = added
            return self.unet(
                z, t, words, down_block_additional_residuals=down, mid_block_additional_residual=middle
            ).sample

    class Control(torch.nn.Module):
        """What the denoiser's layers are to add for a map [captions, 3, side, side] in [0, 1]."""

        def __init__(self):
            super().__init__()
            self.controlnet = controlled

        def forward(self, z, t, words, shown):
            down, middle = self.controlnet(z, t, words, controlnet_cond=shown, return_dict=False)
            return *down, middle

    class Decoder(torch.nn.Module):
        """From a clean latent in the model's own scale to a picture in [0, 1], as ``PromptedDenoiser.decode``."""

        def __init__(self):
            super().__init__()
            self.vae = pipe.vae

        def forward(self, z):
            x = self.vae.decode(z / self.vae.config.scaling_factor).sample
            return (x / 2 + 0.5).clamp(0, 1)

    class Things(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.detector = detector.model

        def forward(self, pixels):
            found = self.detector(pixel_values=pixels)
            return found.logits.softmax(-1), found.pred_boxes

    length, width = pipe.text_encoder.config.max_position_embeddings, pipe.text_encoder.config.hidden_size
    side, channels = pipe.unet.config.sample_size, pipe.unet.config.in_channels
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    seen = detector.processor.size
    asked = noise(2, channels, side, side), torch.tensor([500.5]), noise(2, length, width)
    shown = torch.rand((2, 3, seen["height"], seen["width"]), generator=generator)
    with torch.no_grad():
        added = Control()(*asked, shown)
    names = [f"added_{number}" for number in range(len(added))]
    return {
        "words": (Words(), (torch.zeros(2, length, dtype=torch.int64),), ["tokens"], ["words"]),
        "denoiser": (Denoiser(), (*asked, *added), ["z", "t", "words", *names], ["v"]),
        "control": (Control(), (*asked, shown), ["z", "t", "words", "shown"], names),
        "decoder": (Decoder(), (noise(1, channels, side, side),), ["z"], ["picture"]),
        "detector": (Things(), (noise(1, 3, seen["height"], seen["width"]),), ["pixels"], ["scores", "boxes"]),
    }


def as_onnx(module: Any, arguments: tuple, inputs: list[str], outputs: list[str]) -> bytes:
    """Export a module; its weights are float16 where these are the same numbers."""
    import torch

    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            module.eval(),
            arguments,
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=inputs,
            output_names=outputs,
            verbose=False,
        )
    quiet.setLevel(level)
    model = program.model_proto
    halve(model)
    return model.SerializeToString()


def halve(model: Any) -> None:
    """Store a graph's weights as float16 where that loses nothing, and cast them back before they are used."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != TensorProto.FLOAT:
            continue
        numbers = numpy_helper.to_array(weights)
        with np.errstate(over="ignore"):
            half = numbers.astype(np.float16)
        if numbers.size < FEW or not np.array_equal(half.astype(np.float32), numbers):
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    del model.graph.metadata_props[:], model.metadata_props[:]
    for node in model.graph.node:  # the exporter's notes of where in which file each node comes from
        node.ClearField("doc_string")
        del node.metadata_props[:]


def best_step(bits: int) -> float:
    """Step of the even quantiser of a standard normal number that errs least (Max, 1960, table II), to four digits.

    The chapter's study has these steps as constants; a tool knows no paper, and a test holds both together.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    x = (np.arange(90_000) + 0.5) / 1e4
    density, half = np.exp(-(x**2) / 2), 2 ** (bits - 1)

    def error(step: float) -> float:
        return float((density * (x - (np.floor(x / step).clip(max=half - 1) + 0.5) * step) ** 2).mean())

    return round(float(minimize_scalar(error, bounds=(0.1, 2), method="bounded", options={"xatol": 1e-7}).x), 4)


def known() -> dict[str, Any]:
    """What the page must know beside the networks: words and their tokens, the schedule, the grammar, the judge.

    Raises
    ------
    SystemExit
        If a word of the grammar is not one token, which the page counts on.
    """
    from semcom_utils.generation import load
    from semcom_utils.generation.judging import SAME, THRESHOLD
    from semcom_utils.generation.words import known_words
    from semcom_utils.studies import load_result
    from semcom_utils.toyworld.grammar import PREFIXES, SYNONYMS
    from semcom_utils.toyworld.scene import COLOURS, GROUNDS, KINDS, PATTERNS, POSES

    pipe, detector = load("text-to-image"), load("detector")
    if pipe.scheduler.config.prediction_type != "v_prediction":
        raise SystemExit("the page's sampler is written for a network that predicts v: see book/_static/lab/split.js")
    words = {}
    for word in sorted(known_words(pipe.tokenizer) or ()):
        tokens = pipe.tokenizer(word, add_special_tokens=False).input_ids
        if len(tokens) != 1:
            raise SystemExit(f"the page takes each known word for one token, {word!r} has {len(tokens)}")
        words[word] = tokens[0]
    first, *_, last = pipe.tokenizer("a", padding=False).input_ids
    unet, seen = pipe.unet.config, detector.processor
    return {
        "guidance": GUIDANCE,
        "shape": [unet.in_channels, unet.sample_size, unet.sample_size],
        "alpha_bar": pipe.scheduler.alphas_cumprod.double().tolist(),
        "tokens": {
            "words": words,
            "first": first,
            "last": last,
            "padding": pipe.tokenizer.pad_token_id,
            "length": pipe.text_encoder.config.max_position_embeddings,
        },
        "grammar": {
            "kinds": list(KINDS),
            "synonyms": {kind: list(others) for kind, others in SYNONYMS.items()},
            "colours": list(COLOURS),
            "grounds": list(GROUNDS),
            "patterns": list(PATTERNS),
            "poses": list(POSES),
            "prefixes": list(PREFIXES),
        },
        "judge": {
            "labels": [detector.model.config.id2label[i] for i in range(len(detector.model.config.id2label))],
            "threshold": THRESHOLD,
            "same": SAME,
            "mean": seen.image_mean,
            "spread": seen.image_std,
        },
        "quantisers": {bits: best_step(bits) for bits in range(1, 5)},
        "another_seed": load_result(STUDY)["summary"]["another_seed"]["ssim"]["estimate"],
    }


def fingerprint() -> str:
    """Changes when a checkpoint, the runtime, what the page must know or this file does."""
    checkpoints = ("text-to-image", "detector", "controlnet")
    sums = [(MODELS / f"mini-{name}" / "SHA256SUMS").read_bytes() for name in checkpoints]
    ours = [Path(__file__).read_bytes(), (RESULTS / f"{STUDY}.json").read_bytes()]
    ours += [path.read_bytes() for path in sorted(RUNTIME.iterdir()) if path.is_file()]
    ours += [(ROOT / "semcom_utils" / f"{module}.py").read_bytes() for module in KNOWN_FROM]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (*sums, *ours))).hexdigest()


def packed(data: bytes) -> bytes:
    """Gzipped, the same bytes whenever and wherever it is done."""
    return gzip.compress(data, 9, mtime=0)


def runtime() -> dict[str, bytes]:
    """The files of onnxruntime-web, checked against their sums.

    Raises
    ------
    SystemExit
        If a file is not what ``SHA256SUMS`` lists.
    """
    found = {}
    for line in (RUNTIME / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        data = lzma.decompress((RUNTIME / f"{name}.xz").read_bytes())
        if hashlib.sha256(data).hexdigest() != digest:
            raise SystemExit(f"{RUNTIME.name}/{name} is not the file that SHA256SUMS lists: git checkout -- {RUNTIME}")
        found[name] = data
    return found


def export(folder: Path) -> None:
    """Write all of the lab's files into a folder that is made anew."""
    import torch

    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files: dict[str, dict] = {}
    later: dict[str, dict] = {}

    def keep(name: str, data: bytes, among: dict[str, dict] = files) -> None:
        squeezed = packed(data)
        (folder / f"{name}.gz").write_bytes(squeezed)
        among[name] = {"file": f"{name}.gz", "bytes": len(squeezed), "unpacked": len(data)}

    shapes: dict[str, list[int]] = {}
    for name, (module, arguments, inputs, outputs) in networks().items():
        keep(f"{name}.onnx", as_onnx(module, arguments, inputs, outputs), later if name in LATER else files)
        if name == "denoiser":
            shapes = {key: list(value.shape) for key, value in zip(inputs[3:], arguments[3:], strict=True)}
    for name, data in runtime().items():
        if name.endswith(".wasm"):
            keep(name, data)
        else:
            (folder / name.replace(".mjs", ".js")).write_bytes(data)  # not every server knows the other name
    (folder / "LICENSE-onnxruntime.txt").write_bytes((RUNTIME / "LICENSE").read_bytes())
    about = known() | {"added": shapes, "files": files, "later": later}
    (folder / "lab.json").write_text(json.dumps(about, separators=(",", ":")), "utf-8")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=SITE, help="where to put the files")
    parser.add_argument("--keep", action="store_true", help="export into _build/lab alone: the site is not built yet")
    given = parser.parse_args(argv)
    folder = given.folder
    stamp, now = KEPT / "stamp.txt", fingerprint()
    if not stamp.is_file() or stamp.read_text("utf-8") != now:
        print("== Exporting the lab's models (under a minute; kept in _build/lab)")
        export(KEPT)
        stamp.write_text(now, "utf-8")
    if given.keep:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    for path in KEPT.iterdir():
        if path != stamp:
            shutil.copy2(path, folder / path.name)
    total = sum(path.stat().st_size for path in KEPT.iterdir() if path != stamp)
    print(f"== The lab is in the site: {total / 1e6:.1f} MB, fetched when a reader asks for it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
