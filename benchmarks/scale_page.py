"""The page on cost against size: what `benchmarks.scale` measured, and what it means for larger corpora."""

from typing import Any

from lib.encoders.catalog import BASE, SMALL, Size
from lib.runs import estimate as cost

TOKENS = 128  # of a passage at most, as in the profiles
SIZES = {"1 million": 1e6, "MIRACL English, 32.9 million": 32.9e6, "1 billion": 1e9}
ENCODERS = {"multilingual-e5-small, 384": SMALL, "XLM-R base, 768": BASE}
INDEXES = {
    1e6: "none: exact search by shard",
    32.9e6: "exact by shard for an evaluation; to serve, IVF,Flat where its vectors fit in memory, else IVF,PQ",
    1e9: "IVF,PQ on several machines, and the best hundred ranked again by their whole vectors",
}


def text(found: dict[str, Any]) -> str:
    """The page in Markdown."""
    return "\n".join([HEAD, *_measured(found), *_indexes(found), *_projected(found), TAIL])


def _measured(found: dict[str, Any]) -> list[str]:
    lines = ["## Measured", "", "| texts encoded and searched | seconds | texts a second | memory, GB |"]
    lines.append("|---:|---:|---:|---:|")
    for row in found["encode"]:
        pace = row["texts"] / row["seconds"]
        lines.append(f"| {row['texts']:,} | {row['seconds']:.1f} | {pace:,.0f} | {row['memory in GB']:.2f} |")
    lines += ["", "| vectors searched | seconds | ms a query | memory, GB | equal to exact search |"]
    lines.append("|---:|---:|---:|---:|---|")
    words = {True: "yes", False: "**no**", None: "not compared"}
    for row in found["search"]:
        each = 1e3 * row["seconds"] / found["queries"]
        numbers = f"{row['vectors']:,} | {row['seconds']:.2f} | {each:.2f} | {row['memory in GB']:.2f}"
        lines.append(f"| {numbers} | {words[row['top-k equal to exact']]} |")
    note = f"{found['queries']} queries, the first {found['k']} of each, shards of {found['shard']:,}."
    return [*lines, "", f"{note} {READING}", ""]


def _indexes(found: dict[str, Any]) -> list[str]:
    if "indexes" not in found:
        return []
    lines = ["## Approximate indexes, on a million vectors", ""]
    lines.append("| FAISS index | recall@10 | ms a query | bytes a vector |")
    lines.append("|---|---:|---:|---:|")
    for row in found["indexes"]:
        numbers = f"{row['recall@10']:.3f} | {row['ms a query']:.2f} | {row['bytes a vector']:,}"
        lines.append(f"| {row['index']} | {numbers} |")
    return [*lines, "", CLUSTERED, ""]


def _projected(found: dict[str, Any]) -> list[str]:
    last = found["search"][-1]
    each = last["seconds"] / found["queries"] / last["vectors"]
    lines = ["## Carried on", ""]
    columns = "vectors on disk, 16 bits | encoding, A100 hours | exact search here, s a query | IVF,PQ in memory"
    lines.append(f"| passages | encoder, dimensions | {columns} | index |")
    lines.append("|---|---|---:|---:|---:|---:|---|")
    for name, count in SIZES.items():
        for encoder, size in ENCODERS.items():
            packed = next((r["bytes a vector"] for r in found.get("indexes", []) if ",PQ" in r["index"]), 56)
            numbers = [
                _bytes(count * 2 * size.hidden),
                f"{hours(count, size):,.1f}",
                f"{each * count * size.hidden / 384:,.2g}",
                _bytes(count * packed),
            ]
            lines.append(f"| {name} | {encoder} | {' | '.join(numbers)} | {INDEXES[count]} |")
    return lines


def hours(passages: float, size: Size) -> float:
    """GPU hours of encoding, at most: 2 operations a parameter and token, passages of the longest length."""
    return passages * TOKENS * 2 * size.transformer / cost.OPERATIONS_PER_SECOND / 3600


def _bytes(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.1f} GB"


HEAD = """# Cost against size

Written by `python -m benchmarks.scale`; the machine is named in
[benchmarks/results/scale.json](../benchmarks/results/scale.json). Vectors are those of real passages, perturbed by
noise of .3 of their length. Encoding is by word vectors, so that its times show everything around the transformer.

![Seconds and memory against size](cost_against_size.svg)
"""
READING = """Memory is what a size adds to the peak. The first texts are single sentences, later ones
whole paragraphs, which take longer; from 100,000 on the pace stays. Search takes time in proportion to the vectors."""
CLUSTERED = """Perturbed copies of fewer real vectors lie in tight groups. That is easier for lists than a real corpus,
and harder for product quantisation, which cannot tell copies apart: with it, rank the best again by whole vectors."""
TAIL = f"""
Encoding: 2 operations a parameter and token, {TOKENS} tokens a passage at most, one A100 at 40% of its bf16 peak; not
measured. Exact search: the time a vector above, in proportion to the dimensions; a shard is read, searched and dropped,
so that memory stays that of a shard, and shards can lie on several machines (`--ray`). IVF,PQ: bytes a vector as
measured, whatever the dimensions.

**When to move on.** Exact search is the reference, and an evaluation asks few questions: stay with it as long as
seconds a query are bearable. An index is for serving. Its recall is not that of a million vectors at a billion: take
about four to sixteen times the square root of the number of vectors as lists, train on at least forty vectors a list,
and measure recall against exact search on a few hundred queries before trusting a number that was made through it.
"""
