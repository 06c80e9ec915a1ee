"""An extension of ASGI: an answer whose body is known is one message, and leaves in one write.

A server that takes it has WHOLE in `scope["extensions"]`. The message has `status`, `headers` without a length, and
`body`.
"""

WHOLE = "nexus.response"
