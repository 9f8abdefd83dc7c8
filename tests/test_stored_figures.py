"""Figures in stored notebooks: packed with a palette where nobody sees it, left alone where somebody would."""

import base64
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import run_notebooks

ROOT = Path(__file__).parents[1]


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels(data):
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), int)


@pytest.fixture(scope="module")
def plot():
    figure, axes = plt.subplots(figsize=(6.4, 4), dpi=120)
    for k in range(6):
        axes.plot(np.arange(50), np.sin(np.arange(50) / 5 + k), label=f"curve {k}")
    axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", transparent=False, facecolor="white")
    plt.close(figure)
    return file.getvalue()


def test_a_plot_becomes_a_third_as_large_and_looks_the_same(plot):
    packed = run_notebooks.packed_figure(plot)
    off = np.abs(pixels(packed) - pixels(plot))
    assert len(packed) < 0.5 * len(plot) and 0 < off.mean() <= 0.5 and off.max() <= 24
    assert run_notebooks.packed_figure(packed) == packed  # once


def test_what_a_palette_would_change_keeps_every_pixel(plot):
    rng = np.random.default_rng(0)
    noise = png(rng.integers(0, 256, (64, 64, 3), np.uint8))
    shade = png(np.dstack([pixels(plot).astype(np.uint8), np.full(pixels(plot).shape[:2], 128, np.uint8)]))
    for figure, bound in ((noise, 0.5), (shade, 0.5), (plot, 0.0)):  # the bound is what decides
        packed = run_notebooks.packed_figure(figure, mean=bound)
        assert len(packed) <= len(figure) and (pixels(packed) == pixels(figure)).all()
        assert run_notebooks.packed_figure(packed, mean=bound) == packed


def test_the_stored_figures_are_packed():
    """Every one that can be: packing what is stored changes nothing. (Three of each chapter are tried.)"""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        stored = [
            base64.b64decode(output["data"]["image/png"])
            for cell in json.loads(path.read_text("utf-8"))["cells"]
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        ]
        for figure in stored[:: max(len(stored) // 3, 1)]:
            assert run_notebooks.packed_figure(figure) == figure, path.name
