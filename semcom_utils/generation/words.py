"""Words that a model does not know are named: the mini models know those of the toy world, and draw on in silence."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable
from typing import Any

from semcom_utils.checks import checked, one_of
from semcom_utils.toyworld import VOCABULARY

from .training.tokens import SPARE_WORD

__all__ = ["HOW", "known_words", "unknown_words", "watched"]

#: What may become of a text with unknown words.
HOW = ("warn", "error", "ignore")
#: Tokens from which a vocabulary is an open one: its words may be put together from pieces.
_OPEN = 5000


def known_words(tokenizer: Any) -> frozenset[str] | None:
    """The words that a tokenizer of a closed vocabulary knows as wholes.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizer
        CLIP's: a piece that ends a word ends in ``</w>``.

    Returns
    -------
    frozenset of str or None
        None for an open vocabulary, as the public models have, which puts any word together from pieces.

    Raises
    ------
    ValueError
        If ``tokenizer`` is none.
    """
    if isinstance(tokenizer, type) or not (hasattr(tokenizer, "__len__") and hasattr(tokenizer, "get_vocab")):
        raise ValueError(f"tokenizer must be one of transformers, got {tokenizer!r:.80}")
    if len(tokenizer) >= _OPEN:
        return None
    # Parts of words are pieces, too, such as the "all" of "ball": a whole one is a word of the grammar.
    whole = {piece.removesuffix("</w>") for piece in tokenizer.get_vocab() if piece.endswith("</w>")}
    return frozenset(whole & {*VOCABULARY, SPARE_WORD})


@checked
def unknown_words(texts: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """Words of texts that are not among the known ones, and the nearest known ones.

    Parameters
    ----------
    texts : iterable of str
        Any texts; capitals count as small letters, and signs separate words.
    known : iterable of str
        Words in small letters.

    Returns
    -------
    dict of str to list of str
        Each unknown word, in the order of the texts, and up to three that are spelt alike, the nearest first.

    Raises
    ------
    ValueError
        If ``texts`` or ``known`` is a single string, or holds something else than strings.

    Examples
    --------
    >>> unknown_words(["a red bal on snow"], ["a", "red", "ball", "on", "snow"])
    {'bal': ['ball']}
    """
    lists = []
    for name, value in (("texts", texts), ("known", known)):
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise ValueError(f"{name} must be a list of strings, got {value!r:.80}")
        lists.append(list(value))
        if not all(isinstance(item, str) for item in lists[-1]):
            raise ValueError(f"{name} must hold strings alone, got {value!r:.80}")
    words = sorted(set(lists[1]))
    said = dict.fromkeys(word for text in lists[0] for word in re.findall(r"[^\W_]+", text.lower()))
    return {word: difflib.get_close_matches(word, words, 3) for word in said if word not in words}


@checked
def watched(tokenizer: Any, how: str = "warn") -> Any:
    """Have a tokenizer of a closed vocabulary name the words that it does not know.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizer
        Changed in place. One of an open vocabulary is left as it is.
    how : {"warn", "error", "ignore"}
        Whether it warns, raises ``ValueError``, or keeps silent.

    Returns
    -------
    transformers.PreTrainedTokenizer
        The same object.

    Raises
    ------
    ValueError
        If ``how`` is none of these, or ``tokenizer`` is none.
    """
    known = known_words(tokenizer)
    known = None if one_of("how", how, HOW) == "ignore" else known
    if known is None:
        return tokenizer
    plain, words = type(tokenizer), known

    class Watched(plain):  # type: ignore[misc, valid-type]  # whichever class the folder's tokenizer has
        def __call__(self, text: Any = None, *arguments: Any, **options: Any) -> Any:
            _name(text, words, how)
            return super().__call__(text, *arguments, **options)

    # Under its parent's name: a pipeline that is saved writes down the names of its parts' classes.
    Watched.__name__, Watched.__qualname__, Watched.__module__ = plain.__name__, plain.__qualname__, plain.__module__
    tokenizer.__class__ = Watched
    return tokenizer


def _name(text: Any, known: frozenset[str], how: str) -> None:
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        return
    found = unknown_words(texts, known)
    if not found:
        return
    told = ", ".join(
        f"{word!r} (near it: {', '.join(near)})" if near else f"{word!r} (none is near it)"
        for word, near in found.items()
    )
    said = f"text must be of words that this model knows, or it draws something else; it does not know {told}"
    if how == "error":
        raise ValueError(said)
    warnings.warn(said, stacklevel=4)
