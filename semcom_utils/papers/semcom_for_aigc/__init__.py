"""SemCom for AIGC (Liu et al., 2023): controlled diffusion as a codec, and services on one budget."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES: dict = {
    "quality": Entry("quality", "six extractors' maps at ten factors: what the picture loses, by eleven measures"),
}
