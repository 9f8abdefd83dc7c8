"""ISGC (Lin et al., 2023): one band for semantics, generation and rendering, shared out by a diffusion policy."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {
    "search_penalty": Entry("equal_effort", "twelve random settings of each learner, 60,000 steps, penalty only"),
    "search_layer": Entry("equal_effort", "the same with the feasibility layer"),
    "finalists_penalty": Entry("equal_effort", "the best two settings of each learner, 200,000 steps, penalty only"),
    "finalists_layer": Entry("equal_effort", "the same with the feasibility layer"),
    "equal_penalty": Entry("equal_effort", "Fig. 4: four learners as chosen, ten seeds, penalty only"),
    "equal_layer": Entry("equal_effort", "Figs. 4 and 5: the same with the feasibility layer"),
    "by_hand": Entry("equal_effort", "four learners with settings that a person arrived at, ten seeds, penalty only"),
    "ablation": Entry("equal_effort", "which choice did it: the diffusion policy's, one at a time, penalty only"),
    "tuning": Entry("learning", "the earlier edition's tuning: six random settings for each learner"),
    "training": Entry("learning", "the earlier edition's training: four learners, ten seeds, feasibility layer"),
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
