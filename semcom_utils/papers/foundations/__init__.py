"""The foundations: the studies of the chapters that come before the papers."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {
    "digital_link": Entry(
        "digital_link", "block errors of 5G LDPC codes with 16-QAM, and photographs sent as JPEG over them"
    ),
}
