"""The book's own question: every scheme of the five papers on one bench. It alone knows all papers."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES: dict = {
    "link": Entry("link", "what share of blocks is lost in every format, short and long, about Shannon's limit"),
    "comparison": Entry(
        "conclusions", "every scheme of the book on the same pictures: what it costs and how it answers five questions"
    ),
    "confirmation": Entry(
        "confirmation", "sentences that half of the pictures suggested, put to the pictures that nobody had looked at"
    ),
}
