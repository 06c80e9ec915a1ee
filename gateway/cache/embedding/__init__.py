"""Text to vectors. Knows no Django and no settings: what varies is an argument.

`base` says what an embedder is, `local` runs one, `minilm` is the model; `build` makes its graph from
`weights`, as `recipe` says. `remote` asks `service`, in another process; `openai` and `fastembed` have
other models; `choose` makes the one that is wanted.
"""
