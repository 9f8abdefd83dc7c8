"""Tokenizers in the public formats whose words are those of the toy world's grammar."""

from __future__ import annotations

import json

from semcom_utils.toyworld import VOCABULARY

__all__ = ["LENGTH", "bert_tokenizer", "clip_tokenizer"]

#: Tokens of a caption with its start and end: the longest, of three textured things, has just so many.
LENGTH = 24
#: A word that no caption uses, for the personalisation of a model: it means nothing until it is taught.
SPARE_WORD = "sks"


def clip_tokenizer():
    """CLIP's byte-pair encoding with just the merges that make each word of the grammar one token.

    Other text falls apart into letters, which the mini models know nothing about.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,
        min_frequency=1,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    learner.train_from_iterator([*VOCABULARY, SPARE_WORD], trainer)
    learnt = json.loads(learner.to_str())["model"]
    pieces = [*letters, *(letter + "</w>" for letter in letters)]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in learnt["merges"]]
    pieces += ["".join(pair) for pair in merges]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    # The end token has the largest number, as in OpenAI's: CLIPTextModel pools at the first place that holds it.
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)


def bert_tokenizer():
    """BERT's WordPiece with whole words only: the captioner's output is a sequence of the grammar's words."""
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *VOCABULARY]
    return BertTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        bos_token="[DEC]",
        model_max_length=LENGTH,
    )
