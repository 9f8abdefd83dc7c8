"""The study of the digital link: its tasks, its pieces, and that the stored results are those of today's tasks."""

import json

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from semcom_utils.papers.foundations import digital_link as study
from semcom_utils.physical import DigitalLink
from semcom_utils.semantic.codecs import jpeg, picture_from
from semcom_utils.studies import load_result


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_every_task_has_a_seed_of_its_own():
    tasks = study.tasks()
    assert len({task["seed"] for task in tasks}) == len(tasks)
    json.dumps(tasks, allow_nan=False)


def test_a_point_depends_on_its_task_alone_and_keeps_the_stop_rule():
    task = {
        "kind": "block-errors",
        "code_rate": 0.5,
        "bits_per_symbol": 4,
        "channel": "awgn",
        "payload_bits": 128,
        "snr_db": 6.0,
        "lost": 20,
        "max_blocks": 1000,
        "seed": 5,
    }
    first = study.run(task)
    assert first == study.run(task) != study.run({**task, "seed": 6})
    assert first["block_errors"] >= 20 and first["blocks"] % 128 == 0
    clean = study.run({**task, "snr_db": 12.0, "max_blocks": 150})
    assert clean == {"blocks": 150, "block_errors": 0, "channel_uses": 72}
    with pytest.raises(ValueError, match="^kind must be"):
        study.run({"kind": "pictures"})


@pytest.mark.parametrize("name", study.PHOTOGRAPHS)
def test_photographs_come_with_the_package(name):
    picture = study.photograph(name)
    assert picture.ndim == 3 and picture.shape[2] == 3 and not np.any(np.array(picture.shape[:2]) % 16)
    assert 0 <= picture.min() < 0.1 and 0.7 < picture.max() <= 1
    with pytest.raises(ValueError, match="^name must be"):
        study.photograph(name + "2")


def test_jpeg_fits_and_one_step_better_would_not():
    picture, link = study.photograph("coffee"), DigitalLink()
    file, quality = study.jpeg_that_fits(picture, link, 10_000)
    assert link.layout(8 * len(file)).channel_uses <= 10_000
    assert link.layout(8 * len(jpeg(picture, quality + 1))).channel_uses > 10_000
    with pytest.raises(ValueError, match="^channel_uses must be"):
        study.jpeg_that_fits(picture, link, 100)


def test_what_arrives_of_a_picture_is_what_came_before_the_first_lost_block():
    picture, link = study.photograph("chelsea"), DigitalLink()
    file, _ = study.jpeg_that_fits(picture, link, picture.size // 6)
    arrived, result = link.send_file(file, 15.0, generator(1))
    assert arrived == file and result.block_errors == 0
    assert peak_signal_noise_ratio(picture, picture_from(arrived, picture.shape), data_range=1.0) > 30
    nothing, _ = link.send_file(file, 0.0, generator(2))
    assert nothing == b"" and (picture_from(nothing, picture.shape) == 0.5).all()
    half = picture_from(file[: len(file) // 2], picture.shape)
    assert np.array_equal(half[:32], picture_from(file, picture.shape)[:32])
    assert np.ptp(half[-8:]) == 0  # grey
    for seed in range(3, 30):  # near the cliff, until a picture arrives in part
        part, result = link.send_file(file, 6.25, generator(seed))
        if 0 < len(part) < len(file):
            break
    first_wrong = int(np.argmin(result.block_right))
    assert first_wrong > 0 and len(part) == first_wrong * (result.layout.information_bits - 24) // 8
    assert part == file[: len(part)]


def test_one_stored_point_comes_out_again():
    record = load_result("foundations/digital_link")["records"][2]
    again = study.run(record["task"])
    assert again["channel_uses"] == record["channel_uses"]
    rates = [r["block_errors"] / r["blocks"] for r in (again, record)]
    assert rates[0] == pytest.approx(rates[1], abs=0.02)  # the same noise; processors may round differently
