"""Recipes of what discovery reads: names of steps, manifests, trees of folders."""

STEP_NAMES = {
    "good-olmo": "stage2-ingredient1+2-step11931-tokens50B",
    "good-average": "step11921+11000+10000-nooptim-reshard32",
    "good-seed": "step69369-seed-small-aux-2",
    "good-number": "0001000",
    "good-tokens": "240b_tokens",
    "good-epoch-and-step": "epoch=3-step=1000",
    "good-lightning": "megatron_gpt--val_loss=2.31-step=1000-consumed_samples=256000.0",
    "good-unit": "TinyLlama-1.1B-intermediate-step-1431k-3T",
    "good-loss": "step-000100_val_loss-2.31",
    "good-large-unit": "checkpoint-10B",
    "good-weak-word": "ablation_snapshot_11000",
    "good-bytes": b"step10-caf\xe9",
    "good-largest": "step9223372036854775807",
    "invalid-time": "20251101101010",
    "invalid-overflow": "step99999999999999999999K",
    "invalid-huge-unit": "9999999999T_tokens",
    "invalid-long": "step" + "0" * 300,
    "invalid-many": "step-" * 40,
    "invalid-under-way": "step1000.tmp",
    "invalid-slash": "step1/../step2",
    "invalid-control": "step5\n",
    "invalid-nothing": "",
}


def rows(header, *lines):
    return header + "\n" + "".join(line + "\n" for line in lines)


URL = "https://olmo-checkpoints.org/ai2-llm/peteish7/"
STEPS = "Step,Checkpoint Directory"
MANIFESTS = {
    "good-step": rows(STEPS, f"0,{URL}step0-unsharded/", f"1000,{URL}step1000-unsharded/"),
    "good-ingredient": rows("Ingredient," + STEPS, "1,500,a/i1/step500", "soup,500,a/soup/step500"),
    "good-stage": rows("Stage," + STEPS, "stage1,1,s3://bucket/run/step1"),
    "good-tokens": rows("Stage,Step,Tokens Seen,Checkpoint Directory", "pre,7,8589934592,run/step7"),
    "good-bad-row": rows(STEPS, f"11931,{URL}step11000/", f"11000,{URL}step11000/"),
    "good-same-directory": rows(STEPS, "1,a/x", "2,a/x"),
    "good-twice": rows(STEPS, "1,a/step1", "1,a/step1"),
    "good-carriage-returns": rows(STEPS, "1,a/step1").replace("\n", "\r\n"),
    "good-no-rows": rows(STEPS),
    "invalid-header": rows("Step,Directory", "1,a"),
    "invalid-nothing": "",
    "invalid-fields": rows(STEPS, "1,a,b"),
    "invalid-quotes": rows(STEPS, '1,"a"'),
    "invalid-step": rows(STEPS, "-1,a/step1"),
    "invalid-huge-step": rows(STEPS, "9" * 30 + ",a/step1"),
    "invalid-parent": rows(STEPS, "1,a/../b"),
    "invalid-no-path": rows(STEPS, "1,https://host"),
    "invalid-control": rows(STEPS, "1,a/\x1b[31m"),
    "invalid-nul": rows(STEPS, "1,a/b\0c"),
    "invalid-stage": rows("Stage," + STEPS, "a/b,1,a/step1"),
    "invalid-long": rows(STEPS, "1," + "a" * 2000),
}


def tree(*entries, pattern="", runs=""):
    return "\n".join([pattern, runs, *entries])


def whole(folder, *more):
    return [f"{folder}/{name}" for name in ("config.json", "model.safetensors", *more)]


SNAPSHOT = f"snapshots/{'b' * 40}/"
ROOTS = {
    "good-steps": tree(*whole("step5"), *whole("step10-tokens4B"), *whole("eval_step5"),
                       "latest>step10-tokens4B"),
    "good-empty": tree(),
    "good-empty-stage": tree("stage1/", "stage2/ingredient1/"),
    "good-stages": tree(*whole("stage1/step5"), *whole("stage2-ingredient1-step5"),
                        *whole("stage3/soup/step5+4+3-nooptim")),
    "good-pattern": tree(*whole("run_12_abc"), *whole("other"), "notes.txt",
                         pattern=r"run_(?P<step>\d+)_(?P<stage>.*)"),
    "good-pattern-of-nothing": tree(*whole("x"), pattern=r"(?P<step>\d*)(?P<tokens>.*)x*"),
    "good-runs": tree(*whole("70M/seed-1/step5"), "README.md", *whole("x/y/z/w"),
                      runs=r"(?P<size>\d+M)/seed-(?P<seed>\d+)"),
    "good-runs-of-everything": tree(*whole("A.b/step5"), *whole("a.b/step5"), "x>A.b", runs=r"[^/]+"),
    "good-hub": tree("refs/main=" + "a" * 40, "refs/step5=" + "b" * 40,
                     "refs/stage1/step6=" + "c" * 40, "refs/step7=../../etc",
                     "refs/pr/1=" + "d" * 40, "blobs/0f0f",
                     SNAPSHOT + "config.json>../../blobs/0f0f",
                     SNAPSHOT + "model.safetensors>../../blobs/0f0f", "blobs/0f0f.incomplete"),
    "good-hub-and-more": tree("refs/step5=" + "b" * 40, "snapshots/", *whole("step6"), "notes.txt",
                              *whole("extra/step7")),
    "good-hub-one-step-twice": tree("refs/step5=" + "b" * 40, "refs/step-5=" + "c" * 40,
                                    *whole("snapshots/" + "b" * 40), *whole("snapshots/" + "c" * 40)),
    "good-links": tree("step1>step1", "step2>../..", "step3>nowhere", *whole("far/step9"),
                       "step4>far/step9", "step5>.", "step6>step4"),
    "good-foreign": tree("step1/adapter_config.json", "step2/latest", "step2/zero_to_fp32.py",
                         "step2/global_step2/x", "step3/lit_model.pth", "step4/__0.metadata",
                         "step5/rank0.pt", "global_step6/mp_rank_00_model_states.pt",
                         "iter_0000007/mp_rank_00/model_optim_rng.pt", "8/model/x", "9/_METADATA",
                         "step10/a.gguf"),
    "good-under-way": tree("step1-tmp/", "tmp_step2/", "step3/model.safetensors.incomplete",
                           "step3/config.json", "step4.part"),
    "good-flat": tree("model_000100.pt", "meta_000100.json", "optim_000100_rank0.pt",
                      "model_000200.bin", "state_step001750.pt"),
    "good-one-step": tree(*whole("step5"), *whole("step5-unsharded"), *whole("checkpoint-5"), *whole("5")),
    "good-itself": tree("config.json", "model.safetensors"),
    "good-dcp": tree("step1/.metadata", "step1/__0_0.distcp", "step2/model_and_optim/.metadata",
                     "step2/model_and_optim/__0_0.distcp", "step2/config.json",
                     "step3/.metadata.json", "step4/__0_0.distcp"),
    "good-not-utf8": tree("step5-\xff/config.json", "\xe9/", "step6\xff/x").encode("latin-1"),
    "good-files-of-forms": tree("ep0-ba1-rank0.pt", "last.ckpt", "step5.tar.gz", "tok512.bin",
                                "d20/model_000100.pt", "d20/optim_000100_rank0.pt"),
    "good-forms": tree("step5/tp0/x.pt", "step6/rank_0.pt", "step7/trainer_state.json",
                       "step8/model/.metadata", "step9/model/config.json"),
    "invalid-pattern": tree(*whole("step5"), pattern="("),
    "invalid-group": tree(*whole("step5"), pattern=r"(?P<stpe>\d+)"),
    "invalid-no-group": tree(*whole("step5"), pattern=r"step\d+"),
    "invalid-runs": tree(*whole("step5"), runs="["),
    "invalid-large-pattern": tree(*whole("step5"), pattern=r"(?P<step>(((\d{1,100}){1,100}){1,10}))"),
}


TARGETS = {
    "step_name": STEP_NAMES,
    "manifest": MANIFESTS,
    "root": ROOTS,
}
