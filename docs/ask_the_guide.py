from pathlib import Path

from echo_index import EchoChatModel, EchoEncoder, EchoRetriever, Source, build_index, load_model, rag_chain

index = Path(".echo-index-guide")
model = load_model()  # embeds the guide, embeds the question and writes the answer
build_index([Source.parse(str(Path(__file__).parent))], index, encoder=EchoEncoder(model))
chain = rag_chain(EchoRetriever(index_dir=index, k=3), EchoChatModel(language_model=model))
for chunk in chain.stream("How many tokens does a passage have at most?"):
    print(chunk.get("text", ""), end="", flush=True)
for citation in chunk["answer"].citations:
    print(f"\n[{citation.number}] {citation.hit.source}:{citation.hit.line}")
