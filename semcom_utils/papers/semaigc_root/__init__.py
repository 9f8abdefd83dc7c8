"""SemAIGC and ROOT (Cheng et al., 2023): denoising split between edge and phone, the split chosen by D3QN."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {
    "pictures": Entry(
        "pictures",
        "split denoising over a noisy channel on the mini models: receivers, splits, SNRs, tint, fading, bits",
    ),
    "receiver": Entry(
        "pictures",
        "the fine-tuned receiver of the paper, with the printed and the corrected coefficient, beside the map",
    ),
    "gaussian": Entry(
        "workload", "receivers of split denoising in a Gaussian world whose best reconstruction is known"
    ),
    "frameworks": Entry(
        "workload",
        "the exact best split under four meanings of a good picture, against fixed rules and four frameworks",
    ),
    "learning": Entry(
        "workload",
        "D3QN on ROOT's decision over ten seeds, its variants, Stable-Baselines3's DQN, and the five frameworks",
    ),
}
