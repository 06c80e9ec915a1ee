"""Text to vectors, in process. Knows no Django and no settings: what varies is an argument.

`base` says what an embedder is, `local` runs one, `minilm` is the model; `build` makes its graph from
`weights`, as `recipe` says.
"""
