"""Small made-up inputs for the tests: parallel rows, and a tiny encoder that has one token for each word."""

from collections.abc import Iterable

LANGUAGES = ("de", "en", "zh")


def rows(questions: int, languages: Iterable[str] = LANGUAGES, passages: int | None = None) -> list[dict]:
    """Fully parallel rows of one-word texts; question n is answered by passage n modulo ``passages``."""
    passages = passages or questions
    return [
        {
            "id": str(n),
            "q": {language: f"q{n}{language}" for language in languages},
            "p": {language: f"p{n % passages}{language}" for language in languages},
        }
        for n in range(questions)
    ]


def encoder(words: Iterable[str], dimension: int = 8):
    """A StaticEmbedding model over whole words, with vectors that are always the same."""
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(["[UNK]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), dimension)).astype(np.float32)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu")
