"""SemCom for AIGC (Liu et al., 2023): controlled diffusion as a codec, and services on one budget."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES: dict = {
    "quality": Entry("quality", "six extractors' maps at ten factors: what the picture loses, by eleven measures"),
    "allocation_rates": Entry("allocation", "learning rates of the allocating agents, on seeds not reported"),
    "allocation": Entry("allocation", "factors for four services on one budget: DQN in two forms, heads, controls"),
    "tailored": Entry("allocation", "factors for each map against one for all at the same bits, on held-out scenes"),
    "services": Entry("allocation", "two to a hundred services: what flat and branching agents cost and reach"),
}
