"""What the semantic cache would have done with questions whose answers are known. Needs the embedder, and no service.

`files` reads questions or pairs, `vectors` embeds them, `trace` finds each one's candidates and who refuses them,
`play` decides as the gateway does, `figures` makes tables and `plot` a picture of it.
"""
