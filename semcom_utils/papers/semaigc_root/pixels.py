"""Edge AIGC's pictures sent analog: the channel's noise on their pixels, and what a denoiser at the phone makes of it.

The paper (Cheng et al., 2023, section V-B) calls the other frameworks' pictures noisy and blames the network that their
receivers lack; the authors' public notebook adds Gaussian noise to Edge AIGC's pixels. The chapter
``notebooks/14_semaigc_root`` sets this reading beside the one in which a picture is coded and arrives as it was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, one_of, real_number
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.samplers import sample, timesteps
from semcom_utils.generation.split import matched_timestep
from semcom_utils.papers.semaigc_root.pictures import (
    CAPTIONS,
    GUIDANCE,
    SNRS_DB,
    STEPS,
    _asked,
    _cell,
    _noise_of,
    _shown,
    _stored,
    edge_states,
    models,
    tell,
)
from semcom_utils.physical import AnalogLink
from semcom_utils.studies import Study, load_result

__all__ = ["KINDS", "STUDIES", "denoised", "encode", "noisy_pixels", "pixel_success", "pixels_run"]

#: How a picture is sent: its pixels as they are (``raw``: the SNR counts their whole power, as :class:`AnalogLink`
#: does), less the mean of them all, which the receiver knows (``centred``), and ``raw`` with a denoiser at the phone.
KINDS = ("raw", "centred", "denoised")
#: Captions of these seeds tell how much noise the encoder makes of the pixels'; none of them is judged.
CALIBRATION = 99


@checked
def noisy_pixels(
    pictures: torch.Tensor, snr_db: float, generator: torch.Generator, centred: bool = False
) -> torch.Tensor:
    """Pictures sent analog, cut to [0, 1] as in any file.

    Parameters
    ----------
    pictures : torch.Tensor
        ``[batch, 3, rows, columns]`` in [0, 1]; one payload, so all of one power.
    snr_db : float
        Es/N0 per complex channel use, dB, from -100 to 100.
    generator : torch.Generator
        Of the noise.
    centred : bool
        Whether the mean of all numbers is left out of what is sent; the receiver knows it.

    Returns
    -------
    torch.Tensor
        As ``pictures``.

    Raises
    ------
    ValueError
        If ``pictures`` are none, ``snr_db`` is out of its range, or ``generator`` no ``torch.Generator``.

    Examples
    --------
    >>> grey = torch.full((1, 3, 4, 4), 0.5)
    >>> noisy_pixels(grey, 0.0, torch.Generator().manual_seed(0), centred=True).equal(grey)
    True
    """
    _shown("pictures", pictures)
    mean = pictures.mean() if centred else torch.zeros(())
    return (torch.as_tensor(AnalogLink("awgn").send(pictures - mean, snr_db, generator).latent) + mean).clamp(0, 1)


@torch.no_grad()
@checked
def encode(denoiser: PromptedDenoiser, pictures: torch.Tensor) -> torch.Tensor:
    """Latents of pictures, the mean of what the autoencoder's encoder says.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        Whose pipeline's autoencoder is asked.
    pictures : torch.Tensor
        ``[batch, 3, rows, columns]`` in [0, 1], at least 8 by 8.

    Returns
    -------
    torch.Tensor
        ``[batch, channels, rows, columns]``.

    Raises
    ------
    ValueError
        If ``denoiser`` is none, or ``pictures`` are none.
    """
    _shown("pictures", pictures)
    if min(pictures.shape[2:]) < 8:
        raise ValueError(f"pictures must be at least 8 by 8, got {list(pictures.shape[2:])}")
    vae = denoiser.pipeline.vae
    return vae.encode((2 * pictures - 1).to(vae.dtype)).latent_dist.mode() * vae.config.scaling_factor


@lru_cache(maxsize=32)
def _latent_noise(snr_db: float) -> float:
    """Variance that pixel noise leaves in an encoded latent, measured on pictures that are not judged."""
    captions, _ = _asked({"seed": CALIBRATION, "captions": CAPTIONS})
    own = PromptedDenoiser(models()["text-to-image"], captions, GUIDANCE)
    clean = own.decode(edge_states(own, own.noise(torch.Generator().manual_seed(CALIBRATION)), (STEPS,))[STEPS])
    got = noisy_pixels(clean, snr_db, _noise_of(CALIBRATION, int(snr_db)))
    return float((encode(own, got) - encode(own, clean)).square().mean())


@checked
def denoised(denoiser: PromptedDenoiser, pictures: torch.Tensor, snr_db: float) -> tuple[torch.Tensor, int]:
    """What a phone with the network makes of noisy pictures: encode, map to a later timestep, denoise.

    The noise on an encoded latent is neither white nor quite Gaussian; its variance is that of other pictures.

    Parameters
    ----------
    denoiser : PromptedDenoiser
        The phone's network under the pictures' captions.
    pictures : torch.Tensor
        ``[batch, 3, 64, 64]`` in [0, 1], one or several for each caption.
    snr_db : float
        Of the channel that they came over, dB, from -20 to 100.

    Returns
    -------
    pictures : torch.Tensor
        As they came in.
    steps : int
        That the phone took.

    Raises
    ------
    ValueError
        If ``denoiser`` is none, ``pictures`` are none of its captions', or ``snr_db`` is out of its range.
    """
    _shown("pictures", pictures)
    if tuple(pictures.shape[2:]) != (64, 64) or not len(pictures) or len(pictures) % len(denoiser):
        raise ValueError(f"pictures must be [a multiple of {len(denoiser)}, 3, 64, 64], got {list(pictures.shape)}")
    real_number("snr_db", snr_db, low=-20, high=100)
    levels, variance = denoiser.alpha_bar, _latent_noise(snr_db)
    start = round(matched_timestep(0, variance, levels))
    left = [start, *(t for t in timesteps(len(levels), STEPS) if t < start)]
    z = encode(denoiser, pictures) / (1 + variance) ** 0.5
    return denoiser.decode(sample(denoiser, z, levels, left)), len(left)


def pixels_run(task: dict) -> dict:
    """Edge AIGC's pictures of one batch of captions, over the air as they are.

    Parameters
    ----------
    task : dict
        ``seed`` and ``captions``, as for :func:`.pictures_run`: the same captions and latents; ``snrs_db`` instead of
        ``SNRS_DB``, optionally.

    Returns
    -------
    dict
        Metrics of the ``clean`` pictures and, by SNR (``snr_db``), of each of :data:`KINDS`; ``steps`` that the phone
        takes, by SNR.
    """
    torch.set_num_threads(1)
    seed = task["seed"]
    captions, labels = _asked(task)
    own = PromptedDenoiser(models()["text-to-image"], captions, GUIDANCE)
    clean = own.decode(edge_states(own, own.noise(torch.Generator().manual_seed(seed)), (STEPS,))[STEPS])

    def judged(pictures):
        return _stored(tell(pictures, clean, captions, labels))

    record: dict = {"clean": judged(clean), "snr_db": {}, "steps": {}}
    for snr_db in task.get("snrs_db", SNRS_DB):
        raw = noisy_pixels(clean, snr_db, _noise_of(seed, snr_db))
        mended, record["steps"][str(snr_db)] = denoised(own, raw, snr_db)
        record["snr_db"][str(snr_db)] = {
            "raw": judged(raw),
            "centred": judged(noisy_pixels(clean, snr_db, _noise_of(seed, snr_db), centred=True)),
            "denoised": judged(mended),
        }
    return record


def _summary(records: list[dict]) -> dict:
    snrs = sorted(int(snr) for snr in records[0]["snr_db"])
    cells = {str(snr): {kind: _cell([r["snr_db"][str(snr)][kind] for r in records]) for kind in KINDS} for snr in snrs}
    return {
        "snrs_db": snrs,
        "clean": _cell([r["clean"] for r in records]),
        "snr_db": cells,
        "success": {kind: [cells[str(snr)][kind]["right"]["estimate"] for snr in snrs] for kind in KINDS},
        "steps": {str(snr): max(r["steps"][str(snr)] for r in records) for snr in snrs},
        "pictures": sum(len(r["clean"]["right"]) for r in records),
    }


@checked
def pixel_success(kind: str = "raw") -> Callable[[ArrayLike], np.ndarray]:
    """p(SNR) of Edge AIGC's pictures as the stored study has it, linear between the SNRs.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.

    Returns
    -------
    callable
        SNRs in dB -> probabilities, as :func:`.frameworks` wants it; from the study ``semaigc_root/pixels``.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    one_of("kind", kind, KINDS)
    stored = load_result("semaigc_root/pixels")["summary"]
    return lambda snr_db: np.interp(np.asarray(snr_db, float), stored["snrs_db"], stored["success"][kind])


STUDIES = {
    "pixels": Study(
        lambda: [{"seed": seed, "captions": CAPTIONS} for seed in range(100, 110)],
        pixels_run,
        _summary,
        small={"captions": 1, "+snrs_db": [-6]},
    )
}
