"""Who speaks OpenAI's API, and in which accent: data. A vendor's name is a provider's `kind`."""

from __future__ import annotations

from typing import NamedTuple


class Vendor(NamedTuple):
    """`catalog`: whose prices apply. `tokens_field`: the only name it knows for the limit on tokens; empty: either.

    `strict`: it refuses messages with fields that OpenAI has not documented.
    """

    base_url: str = ""
    catalog: str = ""
    tokens_field: str = ""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: dict[str, str] = {}
    # Whether an `api_version` in the settings means that deployments are named in the path.
    deployments: bool = False
    strict: bool = False


VENDORS: dict[str, Vendor] = {
    "openai": Vendor("https://api.openai.com/v1", "openai", strict=True),
    # Base URL: https://<resource>.openai.azure.com, with settings {"api_version": "2024-10-21"}; or, without a
    # version, https://<resource>.openai.azure.com/openai/v1.
    "azure": Vendor("", "azure", key_header="api-key", key_prefix="", deployments=True, strict=True),
    "groq": Vendor("https://api.groq.com/openai/v1", "groq"),
    "mistral": Vendor("https://api.mistral.ai/v1", "mistral", "max_tokens"),
    "together": Vendor("https://api.together.xyz/v1", "together", "max_tokens"),
    "openrouter": Vendor("https://openrouter.ai/api/v1", "openrouter", "max_tokens"),
    "deepseek": Vendor("https://api.deepseek.com", "deepseek", "max_tokens"),
    # Prices of what runs on one's own machines are set in the admin, as overrides of these catalogs.
    "vllm": Vendor("http://localhost:8000/v1", "vllm"),
    "ollama": Vendor("http://localhost:11434/v1", "ollama", "max_tokens"),
}
