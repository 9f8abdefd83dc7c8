"""Tokenizers in the public formats whose words are those of the toy world's grammar."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from semcom_utils.toyworld import VOCABULARY

if TYPE_CHECKING:
    from transformers import BertTokenizer, CLIPTokenizer

__all__ = ["LENGTH", "SPARE_WORD", "bert_tokenizer", "clip_tokenizer"]

#: Tokens of a caption with its start and end: the longest, of three textured things, has just so many.
LENGTH = 24
#: A word that no caption uses, for the personalisation of a model: it means nothing until it is taught.
SPARE_WORD = "sks"


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-pair encoding with just the merges that make each word of the grammar one token.

    Other text falls apart into letters, which the mini models know nothing about.

    Returns
    -------
    transformers.CLIPTokenizer
        Cuts at :data:`LENGTH` tokens.
    """
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _merges([*VOCABULARY, SPARE_WORD], letters)
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    # The end token has the largest number, as in OpenAI's: CLIPTextModel pools at the first place that holds it.
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    # it takes pairs, too, which its annotation leaves out
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)  # type: ignore[arg-type]


def _merges(words: list[str], letters: list[str]) -> list[tuple[str, str]]:
    """Byte-pair encoding of words (Sennrich et al., 2016): the commonest pair of neighbours first, until none is left.

    Of equally common pairs, the one whose parts were known first. The trainer of ``tokenizers`` breaks some ties by
    the order of a hash table, so that "on" and "of" would now and then change numbers, and with them what weights mean.
    """
    split = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    number = {piece: k for k, piece in enumerate(dict.fromkeys([*letters, *(parts[-1] for parts in split.values())]))}
    merges = []
    while pairs := Counter(pair for parts in split.values() for pair in pairwise(parts)):
        best = min(pairs, key=lambda pair: (-pairs[pair], *(number[part] for part in pair)))
        merges.append(best)
        number.setdefault("".join(best), len(number))
        split = {word: _merged(parts, best) for word, parts in split.items()}
    return merges


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] = "".join(pair)
        else:
            out.append(part)
    return out


def bert_tokenizer() -> BertTokenizer:
    """BERT's WordPiece with whole words only: the captioner's output is a sequence of the grammar's words.

    Returns
    -------
    transformers.BertTokenizer
        Cuts at :data:`LENGTH` tokens.
    """
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *VOCABULARY]
    return BertTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        bos_token="[DEC]",
        model_max_length=LENGTH,
    )
