"""SemCom for AIGC (Liu et al., 2023): controlled diffusion as a codec, and services on one budget."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES: dict = {
    "quality": Entry("quality", "six extractors' maps at ten factors: what the picture loses, by eleven measures"),
    "entropy": Entry("validation", "the fewest bits of prompt, map and factor that pass validation, scene by scene"),
    "personalisation": Entry("personalisation", "a word changed or added by the receiver, with a map and without"),
    "security": Entry("receivers", "receivers that lack the seed, the model, the map or the prompt"),
    "precision": Entry("precision", "spread over seeds of what prompts of more and more phrases make"),
    "adapter_rates": Entry("adapters", "learning rates of full and low-rank fine-tunings, as many tries for each"),
    "adapters": Entry(
        "adapters", "a customer's style as fine-tuning parameters: the gain they keep, the bits they take, the control"
    ),
    "allocation_rates": Entry(
        "allocation", "learning rates of the agents that allocate factors, on seeds that are not reported"
    ),
    "allocation": Entry("allocation", "factors for four services on one budget: DQN in two forms, heads, controls"),
    "tailored": Entry("allocation", "factors for each map against one for all at the same bits, on held-out scenes"),
    "services": Entry("allocation", "two to a hundred services: what flat and branching agents cost and reach"),
}
