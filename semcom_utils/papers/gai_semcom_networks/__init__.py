"""GAI-driven SemCom networks (Liang et al., 2025), a survey: one module a chapter, with what the chapter simulates."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {
    "semantic_information": Entry(
        "semantic_information", "semantic entropy of a grammar, the worth of shared knowledge, and capacity in meanings"
    ),
    "information_effectiveness": Entry(
        "information_effectiveness",
        "age, incorrectness and value of updates, a sender that reports faults only, and a confounded link",
    ),
    "wordings": Entry("wordings", "codes where meanings are what is scarce, and ambiguous words through a channel"),
    "value_rules": Entry(
        "value_rules", "two systems on one link, served by age, by value, by timetable, by the best rule"
    ),
    "triggers": Entry("triggers", "clock, age, incorrectness and event at equal use of a channel, feedback paid for"),
    "completion": Entry("knowledge_management", "TransE on a city's captions: rank of facts that no caption states"),
    "rivals": Entry("knowledge_rivals", "vectors against rules on two graphs, with errors and gaps that grow"),
    "federated": Entry("knowledge_management", "four nodes with a district each: alone, averaged, together"),
    "updates": Entry("knowledge_management", "cost of knowledge over the update interval, closed form and simulation"),
    "versions": Entry("knowledge_management", "random edits of a graph: differences and roll-back"),
    "matching": Entry("resource_allocation", "user association by knowledge matching, by channel and by best SNR"),
    "matching_caps": Entry(
        "resource_sweeps", "matching with capped spectral efficiency, and estimated from few messages"
    ),
    "offloading": Entry("resource_allocation", "computing on the device, at the edge, and the best split"),
    "offloading_rates": Entry("resource_sweeps", "the split with work of heavy tail, over the rate of the link"),
    "off_peak": Entry("resource_allocation", "updates at once and at night on a link with a daily load"),
    "off_peak_paces": Entry("resource_sweeps", "updates at once, at night and giving way, at four paces"),
    "priority": Entry("resource_allocation", "safety-critical messages in order, first, and with interruption"),
    "smart_city": Entry(
        "smart_city", "three sensors of a city in one learned space, three tasks, against separate systems"
    ),
    "families": Entry(
        "model_families", "five families of generative models on a mixture of 25 modes: distance, modes, time"
    ),
    "blur_tuning": Entry("picture_families", "six settings of each of these models, on seeds of their own"),
    "blur": Entry("picture_families", "pictures of a VAE, of a GAN and of a VAE with a critic: how much fine detail"),
    "budgets": Entry("model_budgets", "the families at equal computation on heaps that an even square misses"),
    "finer_bins": Entry(
        "model_budgets", "an autoregressive model with bins narrower than a heap, with a sixth of the operations"
    ),
    "transceiver_curves": Entry(
        "transceiver_curves", "the survey's three systems over the SNR, on three channels, under two accountings"
    ),
    "transceiver_prompts": Entry("transceiver_prompts", "pictures from every pair of a textual and a visual prompt"),
    "transceiver_frames": Entry(
        "transceiver_prompts", "how often blocks of either prompt are lost, by their code rate"
    ),
    "transceiver_costs": Entry("transceiver_costs", "time, channel uses, bits and arithmetic for ten pictures"),
    "lengths": Entry("model_families", "network evaluations and time of sampling over the length of a sample"),
}
