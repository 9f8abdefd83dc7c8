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
    "completion": Entry("knowledge_management", "TransE on a city's captions: rank of facts that no caption states"),
    "federated": Entry("knowledge_management", "four nodes with a district each: alone, averaged, together"),
    "updates": Entry("knowledge_management", "cost of knowledge over the update interval, closed form and simulation"),
    "versions": Entry("knowledge_management", "random edits of a graph: differences and roll-back"),
    "matching": Entry("resource_allocation", "user association by knowledge matching, by channel and by best SNR"),
    "offloading": Entry("resource_allocation", "computing on the device, at the edge, and the best split"),
    "off_peak": Entry("resource_allocation", "updates at once and at night on a link with a daily load"),
    "priority": Entry("resource_allocation", "safety-critical messages in order, first, and with interruption"),
    "smart_city": Entry(
        "smart_city", "three sensors of a city in one learned space, three tasks, against separate systems"
    ),
    "families": Entry(
        "model_families", "five families of generative models on a mixture of 25 modes: distance, modes, time"
    ),
    "lengths": Entry("model_families", "network evaluations and time of sampling over the length of a sample"),
}
