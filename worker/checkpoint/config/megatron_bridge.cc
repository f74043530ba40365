#include "worker/checkpoint/config/megatron_bridge.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 31;
constexpr int64_t kMaxLayers = 4096;
constexpr size_t kMaxName = 512;

// Classes whose fields say everything; others compute more than theirs say.
constexpr const char* kClasses[] = {
    "megatron.bridge.models.gpt.gpt_builder.GPTModelConfig",
    "megatron.bridge.models.gpt.model_config.BridgeGPTModelConfig",
    "megatron.bridge.models.gpt_provider.GPTModelProvider",
    "megatron.training.models.gpt.GPTModelConfig",
};
constexpr const char* kModulesOfClasses[] = {
    "megatron.bridge.models.llama.llama_provider.",
    "megatron.bridge.models.mistral.mistral_provider.",
    "megatron.bridge.models.qwen.qwen_provider.",
};
// Layers as Megatron-Core has them.
constexpr const char* kLayers[] = {
    ".default_layer_spec", ".get_gpt_decoder_block_spec", ".local_layer_spec",
    ".transformer_engine_full_layer_spec", ".transformer_engine_layer_spec"};

// Fields of Megatron-Core's TransformerConfig and ModelParallelConfig and of
// Bridge's classes that change nothing of what the weights compute, or nothing
// unless another field, which is asked, is set: how it is trained, spread,
// rounded, fused, captured, initialised; parts of other models.
constexpr char kElsewhere[] =
    "_builder_ _cpu_offloading_context _pg_collection _target_ "
    "account_for_embedding_in_pipeline_split "
    "account_for_loss_in_pipeline_split activation_func_fp8_input_store "
    "activation_offload_fraction apply_query_key_layer_scaling "
    "apply_rope_fusion attention_backend attention_dropout "
    "attention_softmax_in_fp32 autocast_dtype batch_invariant_backend "
    "batch_invariant_mode batch_p2p_comm batch_p2p_sync bf16 "
    "bias_activation_fusion bias_dropout_fusion builder "
    "calculate_per_token_loss clone_scatter_output_in_embedding "
    "config_logger_dir context_parallel_size cp_comm_type cpu_offloading "
    "cpu_offloading_activations cpu_offloading_double_buffering "
    "cpu_offloading_num_layers cpu_offloading_retain_pinned_cpu_buffers "
    "cpu_offloading_weights cross_entropy_fusion_impl "
    "cross_entropy_loss_fusion cuda_graph_impl cuda_graph_modules "
    "cuda_graph_retain_backward_graph cuda_graph_scope "
    "cuda_graph_use_single_mempool cuda_graph_warmup_steps "
    "deallocate_pipeline_outputs defer_embedding_wgrad_compute "
    "delay_offload_until_cuda_graph delay_wgrad_compute "
    "delta_offload_bytes_across_pp_ranks dense_grouped_gemm "
    "deterministic_mode disable_bf16_reduced_precision_matmul "
    "disable_parameter_transpose_cache distribute_saved_activations "
    "dsa_indexer_head_dim dsa_indexer_k_norm_epsilon dsa_indexer_k_norm_fp32 "
    "dsa_indexer_loss_coeff dsa_indexer_n_heads dsa_indexer_rope_interleaved "
    "dsa_indexer_rotate_activation dsa_indexer_scoring_relu "
    "dsa_indexer_skip_topk_offset dsa_indexer_topk dsa_indexer_topk_freq "
    "dsa_indexer_use_sparse_loss dsa_kernel_backend embedding_init_method "
    "embedding_init_method_std enable_autocast enable_cuda_graph "
    "ep_overlap_early_attn_memory_release "
    "experimental_attention_variant_loss_scale_func "
    "expert_gtp_weight_remat_size expert_model_parallel_size "
    "expert_tensor_parallel_num_weight_shards expert_tensor_parallel_size "
    "external_cuda_graph extra_checkpoint_metadata finalize_model_grads_func "
    "fine_grained_activation_offloading "
    "fine_grained_offloading_max_inflight_offloads first_last_layers_bf16 "
    "flash_attention_version fp16 fp16_lm_cross_entropy "
    "fp32_residual_connection fp4 fp4_param fp4_quantizer_factory fp4_recipe "
    "fp8 fp8_amax_compute_algo fp8_amax_history_len fp8_dot_product_attention "
    "fp8_interval fp8_margin fp8_multi_head_attention fp8_output_proj "
    "fp8_param fp8_quantizer_factory fp8_recipe fp8_wgrad "
    "fused_residual_rmsnorm fused_single_qkv_rope gdp_cutedsl_kernel "
    "gdp_num_chunk_states_to_recompute gdp_num_householder grad_scale_func "
    "grad_sync_func gradient_accumulation_fusion gtp_remat_opt_in_modules "
    "gtp_weight_remat_size hetereogenous_dist_checkpoint hf_model_id "
    "hf_model_revision hidden_dropout hierarchical_context_parallel_sizes "
    "high_priority_a2a_comm_stream hybrid_context_parallel "
    "inference_cuda_graph_scope inference_disable_triton_nvls_kernels "
    "inference_fuse_tp_communication inference_grouped_gemm_backend "
    "inference_moe_disable_fused_quant_kernels "
    "inference_moe_token_dispatcher_type inference_rng_tracker "
    "inference_sampling_seed init_method init_method_std "
    "init_model_with_meta_device kitchen_attention_backend "
    "linear_conv_kernel_dim linear_key_head_dim linear_num_key_heads "
    "linear_num_value_heads linear_value_head_dim log_max_attention_logit "
    "logit_dtype make_vocab_size_divisible_by mamba_head_dim mamba_num_groups "
    "mamba_num_heads mamba_state_dim mamba_training_ssm_states_dtype "
    "masked_softmax_fusion max_seqlen_per_dp_cp_rank "
    "memory_efficient_layer_norm mhc_init_gating_factor "
    "mhc_num_residual_streams mhc_recompute_layer_num mhc_sinkhorn_iterations "
    "microbatch_group_size_per_vp_stage min_offloaded_tensor_size "
    "mlp_chunks_for_prefill mlp_chunks_for_training moe_aux_loss_coeff "
    "moe_combine_bwd_dtype moe_deepep_num_sms moe_dispatch_fwd_dtype "
    "moe_enable_deepep moe_enable_routing_replay "
    "moe_expert_rank_capacity_factor moe_flex_dispatcher_backend "
    "moe_flex_dispatcher_num_sms moe_grad_scale_func moe_grouped_gemm "
    "moe_hybridep_num_blocks_permute moe_hybridep_num_blocks_unpermute "
    "moe_hybridep_num_sms moe_hybridep_num_sms_preprocessing "
    "moe_hybridep_pad_uneven_dispatch_inputs moe_input_jitter_eps "
    "moe_layer_recompute moe_ncclep_zero_copy "
    "moe_pad_expert_input_to_capacity "
    "moe_pad_experts_for_cuda_graph_inference moe_paged_stash "
    "moe_paged_stash_buffer_size_factor_cpu "
    "moe_paged_stash_buffer_size_factor_cuda moe_paged_stash_page_size "
    "moe_per_layer_logging moe_permute_fusion "
    "moe_permute_fusion_into_hybridep moe_router_bias_update_rate "
    "moe_router_dtype moe_router_fusion moe_router_padding_for_fp8 "
    "moe_router_padding_for_quantization moe_router_quantile_balancing_ema "
    "moe_shared_expert_overlap moe_single_grouped_bias "
    "moe_single_grouped_weight moe_token_dispatcher_type "
    "moe_token_drop_policy moe_token_dropping moe_use_grouped_tensor "
    "moe_z_loss_coeff mtp_detach_heads mtp_grad_scale_func mtp_hsm "
    "mtp_hybrid_override_pattern mtp_loss_scaling_factor mtp_standalone "
    "mtp_use_repeated_layer mup_attn_scale_power mup_base_head_dim "
    "mup_base_hidden_size mup_embedding_mult mup_output_mult mup_width_mult "
    "nccl_all_reduce_for_prefill no_sync_func num_layers_at_end_in_bf16 "
    "num_layers_at_start_in_bf16 num_layers_in_first_pipeline_stage "
    "num_layers_in_last_pipeline_stage "
    "num_microbatches_with_partial_activation_checkpoints offload_modules "
    "output_layer_init_method overlap_dispatch_backward_with_experts_wgrad "
    "overlap_moe_expert_parallel_comm overlap_p2p_comm "
    "overlap_p2p_comm_warmup_flush parallel_output param_sync_func "
    "params_dtype perform_initialization persist_layer_norm pipeline_dtype "
    "pipeline_model_parallel_comm_backend pipeline_model_parallel_layout "
    "pipeline_model_parallel_size post_wrap_hooks pre_wrap_hooks qk_clip "
    "qk_clip_alpha qk_clip_threshold recompute_granularity recompute_method "
    "recompute_modules recompute_num_layers "
    "scatter_embedding_sequence_parallel sequence_parallel should_pad_vocab "
    "symmetric_ar_type tensor_model_parallel_size "
    "tensor_parallel_num_weight_shards test_mode timers tp_comm_atomic_ag "
    "tp_comm_atomic_rs tp_comm_bootstrap_backend tp_comm_bulk_dgrad "
    "tp_comm_bulk_wgrad tp_comm_overlap tp_comm_overlap_ag "
    "tp_comm_overlap_cfg tp_comm_overlap_disable_fc1 "
    "tp_comm_overlap_disable_qkv tp_comm_overlap_rs tp_comm_overlap_rs_dgrad "
    "tp_comm_split_ag tp_comm_split_rs tp_only_amax_red transformer_impl "
    "use_arbitrary_attention_mask use_cpu_initialization "
    "use_fused_weighted_squared_relu use_grouped_gemm_for_dense_mlp "
    "use_grouped_gemm_for_shared_expert use_inference_optimized_layers "
    "use_kitchen use_kitchen_attention use_mamba_mem_eff_path "
    "use_ring_exchange_p2p use_te_activation_func use_te_rng_tracker "
    "use_transformer_engine_full_layer_spec use_transformer_engine_op_fuser "
    "variable_seq_lengths virtual_pipeline_model_parallel_size "
    "wgrad_deferral_limit yarn_beta_fast yarn_beta_slow "
    "yarn_correction_range_round_to_int yarn_mscale yarn_mscale_all_dim "
    "yarn_original_max_position_embeddings yarn_rotary_scaling_factor";

// "torch.nn.functional.silu" of a function or a class, however it is written.
std::string TargetOf(files::Fields& fields, const char* key) {
  const auto found = fields.json().find(key);
  if (found == fields.json().end() || !found->is_object()) {
    return fields.StringOr(key, "");
  }
  files::Fields target = fields.Section(key);
  target.Ignore(
      {"_args_", "_call_", "_partial_", "use_transformer_engine", "normalize"});
  std::string name = target.String("_target_", kMaxName);
  target.ExpectNoOther();
  return name;
}

void CheckClass(files::Fields& model) {
  const std::string name = model.StringOr("_target_", "");
  for (const char* known : kClasses) {
    if (name == known) return;
  }
  for (const char* module : kModulesOfClasses) {
    if (absl::StartsWith(name, module)) return;
  }
  model.Refuse("_target_",
               absl::StrCat(files::Quoted(name), " is not implemented"));
}

void CheckLayers(files::Fields& model) {
  const std::string name = TargetOf(model, "transformer_layer_spec");
  for (const char* known : kLayers) {
    if (name.empty() || absl::EndsWith(name, known)) return;
  }
  model.Refuse("transformer_layer_spec",
               absl::StrCat(files::Quoted(name), " is not implemented"));
}

// What only other models have.
void RequirePlain(files::Fields& decoder) {
  decoder.RequireString("normalization", "RMSNorm", "LayerNorm");
  decoder.RequireBool("layernorm_zero_centered_gamma", false, false);
  decoder.RequireBool("gated_linear_unit", true, false);
  decoder.RequireNumber("glu_linear_offset", 0, 0);
  decoder.RequireAbsent("activation_func_clamp_value", "a clamp");
  decoder.RequireBool("add_bias_linear", false, true);
  decoder.RequireBool("qk_l2_norm", false, false);
  decoder.RequireBool("rotary_interleaved", false, false);
  decoder.RequireAbsent("window_size", "a window");
  decoder.RequireAbsent("window_attn_skip_freq", "a window");
  decoder.RequireAbsent("softmax_scale", "another scale of logits");
  decoder.RequireString("softmax_type", "vanilla", "vanilla");
  decoder.RequireBool("attention_output_gate", false, false);
  decoder.RequireBool("multi_latent_attention", false, false);
  decoder.RequireAbsent("no_rope_freq", "a layer without positions");
  decoder.RequireAbsent("experimental_attention_variant", "other attention");
  decoder.RequireAbsent("linear_attention_freq", "linear attention");
  decoder.RequireBool("apply_residual_connection_post_layernorm", false, false);
  decoder.RequireBool("use_mup", false, false);
  decoder.RequireBool("is_hybrid_model", false, false);
  decoder.RequireBool("heterogeneous_block_specs", false, false);
  decoder.RequireBool("enable_mhc_connections", false, false);
  decoder.RequireAbsent("mrope_section", "positions of images");
  decoder.RequireAbsent("quant_recipe", "a recipe of quantization");
  decoder.RequireNumber("mtp_num_layers", 0, 0);
  decoder.RequireBool("flash_decode", false, false);
  const std::string activation = TargetOf(decoder, "activation_func");
  if (activation != "silu" && !absl::EndsWith(activation, ".silu")) {
    decoder.Refuse("activation_func", absl::StrCat(files::Quoted(activation),
                                                   " is not implemented"));
  }
}

// Rotary positions as Hugging Face's rope_parameters.
Json ReadRope(files::Fields& model) {
  model.RequireString("position_embedding_type", "rope", "learned_absolute");
  model.RequireNumber("rotary_percent", 1, 1);
  model.RequireAbsent("rotary_scaling_factor", "a scaling of positions");
  Json rope = {{"rope_type", "default"},
               {"rope_theta", model.PositiveOr("rotary_base", 10000)}};
  const double factor = model.PositiveOr("rope_scaling_factor", 1);
  const bool is_scaled = model.BoolOr("rope_scaling", false);
  if (model.Has("seq_len_interpolation_factor")) {
    rope["rope_type"] = "linear";
    rope["factor"] = model.Positive("seq_len_interpolation_factor");
    if (is_scaled) model.Refuse("rope_scaling", "beside an interpolation");
  } else if (is_scaled) {
    // RotaryEmbedding._apply_scaling has these numbers.
    rope["rope_type"] = "llama3";
    rope["factor"] = factor;
    rope["low_freq_factor"] = 1.0;
    rope["high_freq_factor"] = 4.0;
    rope["original_max_position_embeddings"] = 8192;
  }
  return rope;
}

// Whether each layer has experts, or none; a mixture of both is not read.
bool HasExperts(files::Fields& decoder, int64_t layers) {
  const bool has = decoder.Has("num_moe_experts");
  const auto frequency = decoder.json().find("moe_layer_freq");
  if (!has || frequency == decoder.json().end() || !frequency->is_array()) {
    if (has) decoder.RequireNumber("moe_layer_freq", 1, 1);
    return has;
  }
  const Json& all = decoder.Array("moe_layer_freq", kMaxLayers);
  for (const Json& is_mixed : all) {
    if (is_mixed != 1) {
      decoder.Refuse("moe_layer_freq", "a layer without experts");
      break;
    }
  }
  if (static_cast<int64_t>(all.size()) != layers) {
    decoder.Fail("moe_layer_freq", "must have an element for each layer");
  }
  return has;
}

void CheckBalance(files::Fields& decoder) {
  const char* const key = "moe_router_load_balancing_type";
  const auto type = decoder.json().find(key);
  if (type != decoder.json().end() && type->is_array()) {
    decoder.Ignore({key});  // several losses of training
  } else if (decoder.StringOr(key, "aux_loss") == "sinkhorn") {
    decoder.Refuse(key, "\"sinkhorn\" is not implemented");
  }
}

void ReadExperts(files::Fields& decoder, int64_t wide, Json& keys) {
  const int64_t experts = decoder.Int("num_moe_experts", 1, kMax);
  keys["num_experts"] = experts;
  keys["num_experts_per_tok"] = decoder.IntOr("moe_router_topk", 1, experts, 2);
  keys["moe_intermediate_size"] =
      decoder.IntOr("moe_ffn_hidden_size", 1, kMax, wide);
  // The softmax of the chosen ones' logits, else that of all.
  keys["norm_topk_prob"] = !decoder.BoolOr("moe_router_pre_softmax", false);
  decoder.RequireString("moe_router_score_function", "softmax", "softmax");
  decoder.RequireNumber("moe_router_topk_scaling_factor", 1, 1);
  decoder.RequireAbsent("moe_router_num_groups", "groups of experts");
  decoder.RequireAbsent("moe_router_group_topk", "groups of experts");
  decoder.RequireAbsent("moe_router_topk_limited_devices", "groups of experts");
  decoder.RequireBool("moe_router_enable_expert_bias", false, false);
  decoder.RequireBool("moe_router_force_load_balancing", false, false);
  decoder.RequireAbsent("moe_router_force_biased", "a forced bias");
  decoder.RequireAbsent("moe_shared_expert_intermediate_size",
                        "a shared expert");
  decoder.RequireBool("moe_shared_expert_gate", false, false);
  decoder.RequireAbsent("moe_expert_capacity_factor", "a capacity of experts");
  decoder.RequireAbsent("moe_latent_size", "latent experts");
  decoder.RequireBool("moe_apply_probs_on_input", false, false);
  decoder.RequireAbsent("moe_mlp_glu_interleave_size", "an interleaved gate");
  decoder.RequireAbsent("moe_shared_expert_glu_interleave_size",
                        "an interleaved gate");
  CheckBalance(decoder);
}

// Fields of experts in a model without.
void IgnoreExperts(files::Fields& decoder) {
  decoder.Ignore({"moe_router_topk",
                  "moe_ffn_hidden_size",
                  "moe_layer_freq",
                  "moe_router_pre_softmax",
                  "moe_router_score_function",
                  "moe_router_topk_scaling_factor",
                  "moe_router_num_groups",
                  "moe_router_group_topk",
                  "moe_router_topk_limited_devices",
                  "moe_router_enable_expert_bias",
                  "moe_router_force_load_balancing",
                  "moe_router_force_biased",
                  "moe_shared_expert_intermediate_size",
                  "moe_shared_expert_gate",
                  "moe_expert_capacity_factor",
                  "moe_latent_size",
                  "moe_apply_probs_on_input",
                  "moe_mlp_glu_interleave_size",
                  "moe_shared_expert_glu_interleave_size",
                  "moe_router_load_balancing_type"});
}

// The family, by what its attention and its MLP have.
void Name(files::Fields& decoder, bool has_experts, Json& keys) {
  const bool has_norms = decoder.BoolOr("qk_layernorm", false);
  const bool has_biases = decoder.BoolOr("add_qkv_bias", false);
  if (has_biases && (has_norms || has_experts)) {
    decoder.Refuse("add_qkv_bias", "beside norms of q and k, or experts");
  }
  const bool is_mixtral = has_experts && !has_norms;
  if (is_mixtral && keys["norm_topk_prob"] == false) {
    decoder.Refuse("moe_router_pre_softmax", "without norms of q and k");
  }
  if (is_mixtral) keys["intermediate_size"] = keys["moe_intermediate_size"];
  keys["architectures"] = {is_mixtral    ? "MixtralForCausalLM"
                           : has_experts ? "Qwen3MoeForCausalLM"
                           : has_norms   ? "Qwen3ForCausalLM"
                           : has_biases  ? "Qwen2ForCausalLM"
                                         : "LlamaForCausalLM"};
}

void ReadDecoder(files::Fields& decoder, Json& keys) {
  const int64_t layers = decoder.Int("num_layers", 1, kMaxLayers);
  const int64_t width = decoder.Int("hidden_size", 1, kMax);
  const int64_t heads = decoder.Int("num_attention_heads", 1, kMax);
  const int64_t wide = decoder.IntOr("ffn_hidden_size", 1, kMax, 4 * width);
  keys["num_hidden_layers"] = layers;
  keys["hidden_size"] = width;
  keys["intermediate_size"] = wide;
  keys["num_attention_heads"] = heads;
  keys["num_key_value_heads"] =
      decoder.IntOr("num_query_groups", 1, kMax, heads);
  keys["head_dim"] = decoder.IntOr("kv_channels", 1, kMax, width / heads);
  keys["rms_norm_eps"] = decoder.PositiveOr("layernorm_epsilon", 1e-5);
  keys["hidden_act"] = "silu";
  RequirePlain(decoder);
  const bool has_experts = HasExperts(decoder, layers);
  has_experts ? ReadExperts(decoder, wide, keys) : IgnoreExperts(decoder);
  Name(decoder, has_experts, keys);
}

void IgnoreElsewhere(files::Fields& fields) {
  for (const absl::string_view key : absl::StrSplit(kElsewhere, ' ')) {
    fields.Ignore({std::string(key).c_str()});
  }
}

}  // namespace

bool IsMegatronBridge(const Json& model) {
  return model.is_object() &&
         (model.contains("_target_") || model.contains("transformer"));
}

absl::StatusOr<Json> TranslateMegatronBridge(const Json& root) {
  files::Fields fields(root);
  fields.RequireAbsent("peft", "an adapter");
  files::Fields model = fields.RequiredSection("model");
  CheckClass(model);
  CheckLayers(model);
  Json keys;
  keys["rope_parameters"] = ReadRope(model);
  keys["vocab_size"] = model.Int("vocab_size", 1, kMax);
  keys["max_position_embeddings"] = model.IntOr("seq_length", 1, kMax, 1024);
  keys["tie_word_embeddings"] =
      model.BoolOr("share_embeddings_and_output_weights", true);
  model.RequireBool("restore_modelopt_state", false, false);
  model.RequireBool("mtp_enabled", false, false);
  IgnoreElsewhere(model);
  if (model.json().contains("transformer")) {
    files::Fields decoder = model.RequiredSection("transformer");
    ReadDecoder(decoder, keys);
    IgnoreElsewhere(decoder);
    decoder.ExpectNoOther();
  } else {
    ReadDecoder(model, keys);
  }
  model.ExpectNoOther();
  if (!fields.status().ok()) return fields.status();
  return keys;
}

}  // namespace sinkwatch::checkpoint
