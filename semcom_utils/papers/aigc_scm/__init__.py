"""AIGC-SCM (Wang et al., 2024): words, boxes and a shared memory against pixels."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES: dict = {
    "alignment": Entry(
        "case_study", "four schemes and JPEG on scenes with a subject: alignments, boxes, bits, controls"
    ),
    "baselines": Entry(
        "baselines", "WITT at two rates and files in as many channel uses, on two channels, and files in any budget"
    ),
    "receivers": Entry("receivers", "a receiver without history reads a caption with an identifier in it"),
    "link": Entry("prompt_link", "prompts of every length through the cliff of the paper's link, sent again if broken"),
    "conversation": Entry(
        "conversation", "subjects new at first and known later: channel uses with all that is shared"
    ),
    "psnr_triples": Entry("psnr_triples", "which of two scenes PSNR, SSIM and CLIP find more like a third"),
    "noise_estimate": Entry("noise_estimate", "noise and gain of a block from its pilots, beside the Cramér-Rao bound"),
    "denoising": Entry("denoising", "received latents denoised by the diffusion model, told the noise right and wrong"),
    "latency": Entry("latency", "the time of each stage, and what fewer sampling steps save and cost"),
    "prompt_selection": Entry("prompt_selection", "how many items of a menu to send at which semantic noise"),
    "feedback": Entry("feedback", "who reports what could not be drawn, and alignment over rounds of telling"),
}
