#!/bin/sh
# worker/checkpoint knows no architecture by name: worker/model's registry does.
# Arguments: its sources, but for the translators of trainers' configs, which
# say what a trainer's options are called in Hugging Face's.
[ "$#" -gt 10 ] || { echo "no sources were given"; exit 1; }
found="$(grep -nE 'ForCausalLM|LMHeadModel|"(gpt2|gpt_neox|gpt_oss|llama|mistral|olmo2|olmo3|olmoe|qwen2|qwen3)"' "$@")"
[ -z "$found" ] && exit 0
echo "names of architectures:"
echo "$found"
exit 1
