"""A caption with words that the mini models do not know names them and the nearest known ones."""

import warnings

import pytest
import torch

from semcom_utils import toyworld
from semcom_utils.generation import load
from semcom_utils.generation.prompted import PromptedDenoiser
from semcom_utils.generation.training.tokens import clip_tokenizer
from semcom_utils.generation.words import known_words, unknown_words, watched

pytestmark = pytest.mark.usefixtures("one_thread")


def test_all_that_the_grammar_says_is_known():
    known = known_words(clip_tokenizer())
    captions = [toyworld.caption(toyworld.describe(seed)) for seed in range(300)]
    assert unknown_words(captions, known) == {} and "sks" in known and "x" not in known


def test_unknown_words_are_named_with_the_nearest_known_ones():
    known = known_words(clip_tokenizer())
    found = unknown_words(["A red bal, and an ASTRONAUT on grass"], known)
    assert list(found) == ["bal", "astronaut"] and found["bal"][0] == "ball" and found["astronaut"] == []


@pytest.mark.parametrize("wrong", ["a cat", None, 3, [3]])
def test_bad_texts_are_named(wrong):
    with pytest.raises(ValueError, match="^texts must"):
        unknown_words(wrong, ["a"])
    with pytest.raises(ValueError, match="^known must"):
        unknown_words(["a"], wrong)


def uses(**options):
    clip, drawn = load("clip", **options), load("text-to-image", **options)
    draw = {"num_inference_steps": 1, "generator": torch.Generator().manual_seed(0), "output_type": "np"}
    return [
        clip.texts,
        lambda text: clip.similarity(torch.rand(1, 3, 64, 64), text),
        lambda text: drawn(text, **draw),
        lambda text: drawn("a red ball on grass", negative_prompt=text, guidance_scale=2.0, **draw),
        lambda text: PromptedDenoiser(drawn, [text]),
    ]


def test_whoever_is_told_a_strange_word_warns():
    for use in uses():
        with pytest.warns(UserWarning, match="does not know 'cat' .*'astronaut' .none is near"):
            use("a cat and an astronaut")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            use("a red ball on grass")


def test_on_request_it_is_an_error_or_nothing():
    for use in uses(unknown_words="error"):
        with pytest.raises(ValueError, match="^text must be of words .*'cat'"):
            use("a cat")
        use("a red ball on grass")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for use in uses(unknown_words="ignore"):
            use("a cat")
    with pytest.raises(ValueError, match="^unknown_words must be one of"):
        load("clip", unknown_words="shout")


def test_an_open_vocabulary_is_left_alone():
    class Public:
        def __len__(self):
            return 49408

        def get_vocab(self):
            return {"a</w>": 0}

    public = Public()
    assert known_words(public) is None and type(watched(public, "error")) is Public
    with pytest.raises(ValueError, match="^how must"):
        watched(public, "shout")


def test_a_watched_pipeline_is_saved_and_opened_again(tmp_path):
    load("text-to-image").save_pretrained(tmp_path)
    again = load("text-to-image", folder=tmp_path, unknown_words="error")
    with pytest.raises(ValueError, match="'cat'"):
        again("a cat", num_inference_steps=1)
