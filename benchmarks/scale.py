"""Cost against size: encoding 10 to 200 thousand real texts, searching 10 thousand to 2 million vectors, and indexes.

    .venv/bin/python -m benchmarks.scale

Each size is a process of its own, so that its peak memory is its own. Vectors are real ones, perturbed and set to
length 1 again; they are made shard by shard and never all in memory. Encoding is by word vectors (`static`), which
shows the cost of everything around the transformer. With faiss-cpu installed, approximate indexes are measured too.
Writes `benchmarks/results/scale.json`, and `docs/cost_against_size.md` with its figure; `... -m benchmarks.scale page`
writes the latter two again from the former.
"""

import importlib.util
import json
import resource
import subprocess
import sys
import time

import numpy as np

from benchmarks import measured, scale_page
from lib.base import paths
from lib.data import catalog as data
from lib.encoders import encode as embedding
from lib.encoders import load as encoders
from lib.evaluation import shards as miracl

TEXTS = (10_000, 20_000, 50_000, 100_000, 200_000)
VECTORS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
SHARD, ASKED, K, NOISE = 50_000, 200, 10, 0.3
INDEXED, LISTS, PROBES, BYTES = 1_000_000, 4_096, (8, 32, 128), 48


def main() -> None:
    found = {"encode": [one("encode", n) for n in TEXTS], "search": [one("search", n) for n in VECTORS]}
    if importlib.util.find_spec("faiss"):
        found["indexes"] = one("indexes", INDEXED)["indexes"]
    measured.write("scale", {"shard": SHARD, "queries": ASKED, "k": K, "noise": NOISE, **found})
    publish()


def publish() -> None:
    """Write the page and its figure from the stored results."""
    found = json.loads((measured.RESULTS / "scale.json").read_text(encoding="utf-8"))
    draw(found)
    (paths.ROOT / "docs" / "cost_against_size.md").write_text(scale_page.text(found), encoding="utf-8")


def one(part: str, size: int) -> dict:
    """Measure a size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", part, str(size)]
    print(" ".join(command[2:]), flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def encode(size: int) -> dict:
    """Encode and search real texts through the path of MIRACL's corpora, shard by shard."""
    model = encoders.load(encoders.fetched("static"))
    texts = real_texts()[:size]
    numbered = [(f"{n:09d}", text) for n, text in enumerate(texts)]
    shards = (numbered[start : start + SHARD] for start in range(0, size, SHARD))
    before = memory()
    started = time.perf_counter()
    miracl.search_by_shard(model, texts[:ASKED], shards, K)
    return {"texts": len(texts), "seconds": time.perf_counter() - started, "memory in GB": memory() - before}


def search(size: int) -> dict:
    """Search perturbed vectors shard by shard; up to 100,000 the result is compared with that of one product."""
    model = encoders.load(encoders.fetched("static"))
    texts = real_texts()[:SHARD]
    real = embedding.encode(model, texts, "document")
    queries = embedding.encode(model, texts[:ASKED], "query").astype(np.float64)
    spent = 0.0

    def of_shard(number: int) -> tuple[np.ndarray, np.ndarray, int]:
        nonlocal spent
        vectors = perturbed(real, number, min(SHARD, size - number * SHARD)).astype(np.float64)
        started = time.perf_counter()
        best, scores = miracl._best_of_shard(queries, vectors, K)
        spent += time.perf_counter() - started
        names = np.array([f"{number * SHARD + n:09d}" for n in range(len(vectors))])
        return names[best], scores, len(vectors)

    before = memory()
    found, _ = miracl.search_by_shard(
        model, texts[:ASKED], range(-(-size // SHARD)), K, each=lambda _, numbers: map(of_shard, numbers)
    )
    used = memory() - before
    equal = None
    if size <= 100_000:
        shards = [perturbed(real, n, min(SHARD, size - n * SHARD)) for n in range(-(-size // SHARD))]
        scores = (queries @ np.vstack(shards).astype(np.float64).T).astype(np.float32)
        order = np.lexsort((np.broadcast_to(np.arange(size), scores.shape), scores))[:, ::-1][:, :K]
        equal = bool((found.astype(int) == order).all())
    return {"vectors": size, "seconds": spent, "memory in GB": used, "top-k equal to exact": equal}


def indexes(size: int) -> dict:
    """Recall, time and size of FAISS indexes against exact search, on the same vectors."""
    import faiss

    model = encoders.load(encoders.fetched("static"))
    texts = real_texts()[:SHARD]
    real = embedding.encode(model, texts, "document")
    queries = embedding.encode(model, texts[:ASKED], "query")
    vectors = np.vstack([perturbed(real, n, SHARD) for n in range(size // SHARD)])
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    started = time.perf_counter()
    truth = exact.search(queries, K)[1]
    rows = [{"index": "Flat", "recall@10": 1.0, "ms a query": 1e3 * (time.perf_counter() - started) / ASKED}]
    rows[0]["bytes a vector"] = vectors.shape[1] * 4
    for kind, size_of in ((f"IVF{LISTS},Flat", vectors.shape[1] * 4 + 8), (f"IVF{LISTS},PQ{BYTES}", BYTES + 8)):
        index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        started = time.perf_counter()
        index.train(vectors[:: max(1, len(vectors) // (40 * LISTS))])
        index.add(vectors)
        built = time.perf_counter() - started
        for probes in PROBES:
            index.nprobe = probes
            started = time.perf_counter()
            near = index.search(queries, K)[1]
            spent = time.perf_counter() - started
            recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(near, truth, strict=True)]))
            rows.append({"index": f"{kind}, {probes} lists probed", "recall@10": recall})
            rows[-1] |= {"ms a query": 1e3 * spent / ASKED, "bytes a vector": size_of, "seconds to build": built}
    return {"indexes": rows}


def real_texts() -> list[str]:
    """Passages of all sets at hand, then their questions, each once."""
    sets = [data.evaluation_set(name) for name in ("xquad-r", "mlqa-r", "miracl-mini", "parallel-docs-heldout")]
    sets.append(data.training_set("parallel-docs", []))
    texts = [text for part in sets for text in part.passages["text"]]
    return list(dict.fromkeys([*texts, *(text for part in sets for text in part.queries["text"])]))


def perturbed(real: np.ndarray, number: int, size: int) -> np.ndarray:
    """float32 [size, dimensions]: real vectors and noise of .3 of their length, at length 1; by the shard's number."""
    draw = np.random.default_rng(number)
    noise = draw.standard_normal((size, real.shape[1]), np.float32) * (NOISE / real.shape[1] ** 0.5)
    found = real[draw.integers(0, len(real), size)] + noise
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def memory() -> float:
    """The highest memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def draw(found: dict[str, list[dict]]) -> None:
    """Seconds and memory against size, on logarithmic axes; a line of slope 1 is linear."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for axis, (key, unit) in zip(axes, (("seconds", "s"), ("memory in GB", "GB")), strict=True):
        for part, size, marker in (("encode", "texts", "o"), ("search", "vectors", "s")):
            rows = found[part]
            axis.plot([r[size] for r in rows], [r[key] for r in rows], marker=marker, label=f"{part}: {size}")
        axis.set(xscale="log", xlabel="size", ylabel=f"{key.split(' in')[0]} ({unit})")
        axis.grid(alpha=0.3)
    most = max(row["memory in GB"] for part in ("encode", "search") for row in found[part])
    axes[0].set(yscale="log", title="Time grows as the size does")
    axes[1].set(ylim=0, title=f"No more than {most:.2f} GB are added to the peak")
    axes[0].legend(frameon=False)
    (paths.ROOT / "docs").mkdir(exist_ok=True)
    figure.savefig(paths.ROOT / "docs" / "cost_against_size.svg", metadata={"Date": None})


PARTS = {"encode": encode, "search": search, "indexes": indexes}


if __name__ == "__main__":
    if sys.argv[1:] == ["page"]:
        publish()
    elif len(sys.argv) > 2:
        print(json.dumps(PARTS[sys.argv[1]](int(sys.argv[2]))))
    else:
        main()
