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
    "pixels": Entry("pixels", "Edge AIGC's pictures sent analog: noise on their pixels, and a denoiser at the phone"),
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
    "readings": Entry(
        "algorithm", "the exact best split and the five frameworks under other readings of limits, constants and air"
    ),
    "ablation": Entry("algorithm", "D3QN in 350 episodes, one open choice of Algorithm 1 changed at a time"),
    "proposition": Entry("algorithm", "whether the bound of Proposition 2 is sufficient and necessary, as printed"),
    "decoding": Entry("algorithm", "whether a channel decoder leaves Gaussian noise on a latent"),
}
