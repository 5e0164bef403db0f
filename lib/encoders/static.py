"""The encoder `static`: the word vectors of e5-small-q4, and nothing else."""

from pathlib import Path

from . import e5q4

NO_PROMPTS = {"query": "", "document": ""}


def build_static(folder: Path) -> None:
    """Write the encoder `static`: the L2-normalised mean of the word vectors of e5-small-q4, no prompts.

    Prompts would add the same words to every text: with them, XQuAD-R's monolingual mAP is .534, not .574.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    weights = e5q4.parse(e5q4.weight_bytes(), tensors={"emb.word"})
    vectors = weights.tensors["emb.word"].reshape(-1, weights.sizes[0])[: len(weights.pieces)].copy()
    embedding = StaticEmbedding(e5q4.backend_tokenizer(weights), embedding_weights=vectors)
    model = SentenceTransformer(
        modules=[embedding, Normalize()], prompts=NO_PROMPTS, similarity_fn_name="cosine", device="cpu"
    )
    model.save(str(folder), create_model_card=False)
