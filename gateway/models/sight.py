"""Which models take pictures; pure."""

from __future__ import annotations

import re

# Models that read text only, by the documents of whoever makes them: OpenAI, models (gpt-3.5, gpt-4 before turbo,
# o1-mini, o1-preview, o3-mini, gpt-oss); Anthropic, vision (from Claude 3 on); DeepSeek, models; Google, Gemma
# (from 3 on, but for 1b); Meta, Llama (3.2 vision and 4); Mistral, models; Qwen, models (the vl ones).
BLIND = re.compile(
    r"""(?x)
    gpt-3\.5 | gpt-4(-32k|-0314|-0613|-1106-preview|-0125-preview)?$ | (text-)?davinci | babbage
    | o1-(mini|preview) | o3-mini | gpt-oss
    | claude-(instant|v?[12]($|[.:-]))
    | deepseek(?!.*(vl|ocr|janus))
    | gemma[:-]?2? ($|[:-]\d+b) | gemma-?3[:-](1b|270m) | codegemma
    | llama-?2 | llama-?3(\.[13])?($|[:-](?!.*vision)) | llama-?3\.2($|[:-](?!.*(vision|11b|90b))) | codellama
    | mistral-(7b|nemo|tiny) | ^mistral($|:) | mixtral | ministral-?(3b|8b)-2410 | codestral
    | qwen-?(2(\.5)?|3)?(-coder|-math)?($|[:-](?!.*vl)) | qwq
    | phi-?[1-4]($|[:-](?!.*(vision|multimodal))) | command-r | glm-?4(\.\d)?($|[:-](?!.*v)) | kimi-k2($|[:-])
    """
)


def sees(model: str) -> bool:
    """By its name, with or without the maker's before it; True where nothing is known: a refusal is told."""
    name = model.lower().removeprefix("~").rpartition("/")[2]
    return BLIND.match(name) is None
