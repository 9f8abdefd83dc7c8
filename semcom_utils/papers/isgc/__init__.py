"""ISGC (Lin et al., 2023): one band for semantics, generation and rendering, shared out by a diffusion policy."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {
    "tuning": Entry("learning", "six random settings for each learner, with and without the feasibility layer"),
    "training": Entry("learning", "Figs. 4 and 5: four learners, ten seeds, with the feasibility layer"),
    "penalty": Entry("learning", "the same with a penalty only"),
    "denoising_steps": Entry("learning", "the diffusion policy with one to eight reverse steps"),
    "learning_rates": Entry("learning", "the paper's learning rates beside tuned ones"),
    "readings": Entry("learning", "the diffusion policy under each reading of the paper's contradictory constants"),
    "paper_budget": Entry(
        "learning",
        "the larger of the paper's learning rates with the paper's 3 million environment steps, one run each",
    ),
    "fast": Entry("learning", "the chapter's live training, with ten seeds"),
    "choices": Entry("learning", "what our own additions to the paper's recipe change"),
    "coordination": Entry("coordination", "the virtual campus: which pictures to send, by where the users are"),
    "focus": Entry("coordination", "the virtual campus: bits for what a user watches"),
}
