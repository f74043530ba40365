#!/usr/bin/env bash
# What `bazel run //:demo` and deploy/demo.sh run: server, worker and trainers in
# a folder of their own, progress while it goes, tables at the end.
set -euo pipefail

usage="usage: demo [--once] [--scenario=sink|paper] [--device=cpu|cuda] [--pace=SECONDS] [--http=PORT] [--grpc=PORT]"
help="demo: follows a model of the paper's toy task while it trains.

$usage

  --once            end by itself: 0 only if the sink emerged
  --scenario=WHICH  sink (default): one training; paper: five trainings, and
                    what changing them does, beside what the paper claims
  --device=NAME     that the worker computes on: cpu (default), cuda or cuda:N
  --pace=SECONDS    that the trainer waits before each checkpoint; default 0.5
  --http=PORT       of the page, the API and /metrics; default 17460
  --grpc=PORT       of workers and sinkctl; default 17461
  --help            this text

exit codes: 0 done, 1 not as expected, 2 bad usage"
once="" scenario=sink device=cpu pace=0.5 http=17460 grpc=17461
for argument in "$@"; do
  case "$argument" in
    --help | -h | help) echo "$help" >&3; exit 0 ;;
    --once) once=1 ;;
    --scenario=sink | --scenario=paper) scenario="${argument#*=}" ;;
    --device=cpu | --device=cuda | --device=cuda:*) device="${argument#*=}" ;;
    --pace=*) pace="${argument#*=}" ;;
    --http=*) http="${argument#*=}" ;;
    --grpc=*) grpc="${argument#*=}" ;;
    *) echo "demo: unknown argument '$argument'"; echo "$usage"; exit 2 ;;
  esac
done 3>&1 >&2

# Found from bazel-bin/demo, from `bazel run` and from a test alike.
bin="${BASH_SOURCE[0]}.runfiles/sinkwatch"
[[ -d "$bin" ]] || bin="${RUNFILES_DIR:-$PWD}"
[[ -x "$bin/server/sinkwatch_server" ]] || bin="$PWD"
server="$bin/server/sinkwatch_server"
worker="$bin/worker/sinkwatch_worker"
trainer="$bin/worker/examples/bigram_backcopy/bigram_backcopy"
sinkctl=("$bin/server/ctl/sinkctl" "--server=127.0.0.1:$grpc")

work="$(mktemp -d "${TMPDIR:-/tmp}/sinkwatch-demo.XXXXXX")"
children=()
declare -A pid_of=()
clean_up() {
  trap - EXIT INT TERM
  [[ ${#children[@]} -gt 0 ]] && kill "${children[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { echo "demo: $*" >&2; exit 1; }

start() {  # NAME COMMAND...: in the background, its log in $work/NAME.log
  local name="$1"; shift
  "$@" >"$work/$name.out" 2>"$work/$name.log" &
  children+=($!)
  pid_of[$name]=$!
}

start_service() {  # RUN...
  local flags=() run
  "$trainer" --probe_only --probe_out="$work/probe"
  for run in "$@"; do
    mkdir -p "$work/runs/$run"
    flags+=("--run=$run=$work/runs/$run,probe=$work/probe")
  done
  printf 'poll_seconds: 0.2\n' >"$work/server.textproto"
  start server "$server" --config="$work/server.textproto" "${flags[@]}" \
    --grpc_address="127.0.0.1:$grpc" --http_address="127.0.0.1:$http" \
    --data_dir="$work/data"
  local tries=0
  until curl -sf "http://127.0.0.1:$http/-/ready" >/dev/null; do
    kill -0 "${pid_of[server]}" 2>/dev/null || { cat "$work/server.log" >&2; die "the server did not start"; }
    ((++tries < 300)) || die "the server is not ready after 30 s"
    sleep 0.1
  done
  start worker "$worker" run --server="127.0.0.1:$grpc" --device="$device" --threads=1
}

count() {  # RUN STATE
  "${sinkctl[@]}" checkpoints "$1" --format=csv | awk -F, -v state="$2" '
    NR == 1 {for (i = 1; i <= NF; i++) if ($i == "state") column = i}
    NR > 1 && $column == state {n++} END {print n + 0}'
}

# Ends the demo if something that it waits for has ended.
check_alive() {  # WANTED-CHECKPOINTS-PER-RUN
  local run written
  for name in server worker; do
    kill -0 "${pid_of[$name]}" 2>/dev/null && continue
    cat "$work/$name.log" >&2
    die "the $name has ended"
  done
  for run in "${runs[@]}"; do
    kill -0 "${pid_of[train_$run]}" 2>/dev/null && { training=1; continue; }
    written="$(find "$work/runs/$run" -maxdepth 1 -name 'step*' ! -name '*-tmp' | wc -l)"
    ((written >= $1)) && continue
    cat "$work/train_$run.log" >&2
    die "the trainer of $run ended after $written of $1 checkpoints"
  done
}

# A line whenever more is measured, until every run has all its checkpoints.
follow() {  # CHECKPOINTS RUN...
  local wanted="$1" line="" last="" all="" training run measured dead; shift
  runs=("$@")
  while [[ -z "$all" ]]; do
    training="" line="" all=1
    check_alive "$wanted"
    for run in "${runs[@]}"; do
      measured="$(count "$run" done)" dead="$(count "$run" dead)"
      line+="  $run $measured/$wanted measured"
      ((measured >= wanted)) || all=""
      ((dead == 0)) || { "${sinkctl[@]}" checkpoints "$run"; die "$dead checkpoints of $run were given up"; }
    done
    [[ "$line" == "$last" ]] || printf '%(%H:%M:%S)T%s%s\n' -1 "$line" "${training:+  (training)}"
    last="$line"
    [[ -n "$all" ]] || sleep 0.3
  done
}

column() {  # RUN METRIC DOMAIN [LAYER]: "step,value" lines
  "${sinkctl[@]}" series "$1" --metric="$2" --domain="$3" ${4:+--layer="$4"} --format=csv |
    awk -F, '{sub(/\r$/, "")} NR > 1 {print $1 "," $2}'
}

table() {  # RUN LAYER: a row per step, "-" for what has no value there
  printf '%6s  %22s  %22s  %16s  %11s  %10s\n' step \
    'sink attention (other)' 'sink attention (trig.)' 'value norm ratio' 'delta logit' 'probe loss'
  {
    column "$1" sink_attention train/other "$2" | sed 's/^/1,/'
    column "$1" sink_attention train/trigger "$2" | sed 's/^/2,/'
    column "$1" value_norm_ratio train "$2" | sed 's/^/3,/'
    column "$1" sink_delta_logit train "$2" | sed 's/^/4,/'
    column "$1" probe_loss train | sed 's/^/5,/'
  } | sort -t, -k2,2n | awk -F, '
    function cell(i, form) {return v[i] == "" ? "-" : sprintf(form, v[i])}
    function row() {
      printf "%6d  %22s  %22s  %16s  %11s  %10s\n", step, cell(1, "%.4f"), cell(2, "%.4f"),
        cell(3, "%.3f"), cell(4, "%.2f"), cell(5, "%.4f")
      delete v
    }
    NR > 1 && $2 != step {row()}
    {step = $2; v[$1] = $3}
    END {if (NR > 0) row()}'
}

emergence() {  # RUN METRIC DOMAIN THRESHOLD LAYER [--below]: "after,by,censoring"
  "${sinkctl[@]}" emergence "$1" --metric="$2" --domain="$3" --threshold="$4" --layer="$5" ${6:-} --format=csv |
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) place[$i] = i}
             NR == 2 {print $place["after_step"] "," $place["by_step"] "," $place["censoring"]}'
}

emerged() {  # AFTER BY CENSORING: as a person says it
  case "$3" in
    none) echo "emerged in steps ($1, $2]" ;;
    left) echo "was there at the first checkpoint, step $2" ;;
    *) echo "did not emerge" ;;
  esac
}

last() { column "$@" | awk -F, 'END {if ($2 == "") print "none"; else printf "%.4f", $2}'; }
at_step() { local step="$1"; shift; column "$@" | awk -F, -v s="$step" '$1 == s {print $2}'; }

show_addresses() {
  say "Look around"
  cat <<TEXT
  page      http://127.0.0.1:$http/
  metrics   http://127.0.0.1:$http/metrics
  API       http://127.0.0.1:$http/api/v1/series?run=$1&metric=sink_attention&domain=train/other
  gRPC      127.0.0.1:$grpc
TEXT
}

stay() {
  [[ -n "$once" ]] && return
  echo; echo "Up until Ctrl-C."
  wait
}

run_sink() {
  say "Training Bigram-Backcopy (1 layer, AdamW, 800 steps) beside a server and a worker"
  start_service toy
  start train_toy "$trainer" --preset=adam --out="$work/runs/toy" --pace="$pace"
  follow 18 toy
  say "What was measured, by training step (layer 0, head 0)"
  table toy 0
  local after by censoring
  IFS=, read -r after by censoring < <(emergence toy sink_attention train/other 0.5 0)
  say "The sink (attention >= .5 on rows that are no triggers) $(emerged "$after" "$by" "$censoring")"
  show_addresses toy
  stay
  # What reference trainings of ten seeds gave, with room for another machine's
  # rounding: worker/examples/bigram_backcopy/README.md.
  [[ "$censoring" == none ]] && ((by <= 600)) || die "the sink $(emerged "$after" "$by" "$censoring"), and was expected to by step 600"
  awk -v mass="$(last toy sink_attention train/other 0)" \
      -v active="$(last toy sink_attention train/trigger 0)" \
      -v ratio="$(last toy value_norm_ratio train 0)" 'BEGIN {
        exit !(mass active ratio !~ /none/ && mass >= 0.55 && active <= 0.05 && ratio <= 0.45)}' ||
    die "the last checkpoint is not what was expected (see the table)"
}

slope() {  # RUN FROM TO: growth of the residual norm of <s> after layer 0, per 1000 steps
  awk -v a="$(at_step "$2" "$1" residual_norm_sink train 0)" -v b="$(at_step "$3" "$1" residual_norm_sink train 0)" \
    -v n="$(($3 - $2))" 'BEGIN {printf "%.2f", (b - a) * 1000 / n}'
}

compare() { printf '  %-48s %-34s %s\n' "$@"; }

of() {  # FILE.csv DOMAIN METRIC LAYER: a value of a measurement
  awk -F, -v d="$2" -v m="$3" -v l="$4" '{sub(/\r$/, "")}
    $1 == d && $2 == m && $3 == l {printf "%+.3f", $5; found = 1; exit}
    END {if (!found) printf "none"}' "$1"
}

causes() {  # RUN STEP FILE FLAGS...: what changing the last checkpoint does
  local run="$1" step="$2" file="$3"; shift 3
  "$worker" measure --checkpoint="$work/runs/$run/step$step" --probe="$work/probe" --device=cpu \
    --threads=1 --format=csv "$@" >"$file" 2>>"$work/causes.log" ||
    { cat "$work/causes.log" >&2; die "$run/step$step was not measured"; }
}

when() {  # RUN LAYER: when its sink emerged, as a person says it
  local after by censoring
  IFS=, read -r after by censoring < <(emergence "$1" sink_attention train/other 0.5 "$2")
  emerged "$after" "$by" "$censoring"
}

run_paper() {
  local run skipped="" part what
  runs=(adam relu adam2 adam3 sgd3)
  say "Five trainings side by side: one, two and three layers, softmax and ReLU, Adam and SGD"
  start_service "${runs[@]}"
  for run in "${runs[@]}"; do
    start "train_$run" "$trainer" --preset="$run" --out="$work/runs/$run" \
      --checkpoints="$(case "$run" in adam | relu) echo 0,100,130,160,200,250,300,400,600,800 ;; *) echo 0,100,200,300,500,700,900,1100,1300,1500 ;; esac)"
  done
  follow 10 "${runs[@]}"
  say "Changing the last checkpoints: a head, a part of a layer"
  causes adam 800 "$work/head.csv" --ablate=0.0
  for part in attn mlp; do
    for what in delta_loss sink_attention value_norm_ratio residual_norm_sink; do
      skipped+=",layer_skip_${part}_$what"
    done
  done
  causes adam3 1500 "$work/skip.csv" --metrics="default$skipped"
  say "adam: one layer, softmax attention"; table adam 0
  say "relu: one layer, ReLU attention (sink attention is a share of weights that may all be small)"; table relu 0
  say "Beside the paper"
  local after by censoring head="$work/head.csv" skip="$work/skip.csv" zero=head_ablation_delta_loss_zero
  IFS=, read -r after by censoring < <(emergence adam sink_attention train/other 0.5 0)
  compare "" "the paper (arXiv 2410.13835)" "measured here"
  compare "sink: attention on <s>, no triggers" ".81, from step 258 above .5" "$(last adam sink_attention train/other 0), $(emerged "$after" "$by" "$censoring")"
  compare "sink: attention on <s>, triggers" "the head is active there" "$(last adam sink_attention train/trigger 0)"
  compare "drain: value of <s> against the others" "drained: .5 against 19 to 27" "ratio $(last adam value_norm_ratio train 0)"
  compare "peak: norm of <s> against the others, 3 layers" "5.6 (140.7 against 25)" "$(last adam3 residual_norm_ratio train 0)"
  compare "emergence with 2 layers, layer 0 and 1" "in any number of layers" "$(when adam2 0); $(when adam2 1)"
  compare "emergence with 3 layers, layer 1" "in any number of layers" "$(when adam3 1)"
  compare "switching: attention on <s> in A and in B" "dormant on prose, active on code" "$(last adam sink_attention A 0) and $(last adam sink_attention B 0)"
  compare "cause: loss with the head zeroed, in A and in B" "0 and up to +.5" "$(of "$head" A "$zero" 0) and $(of "$head" B "$zero" 0)"
  compare "reinforcement: layer 0's MLP skipped, the peak" "106 becomes .7 (layer 0 skipped)" "$(of "$skip" train layer_skip_mlp_residual_norm_sink 0) of $(last adam3 residual_norm_sink train 0)"
  compare "  and what it does to the sink of layer 1" "logit 18.9 becomes 1.9" "attention $(of "$skip" train layer_skip_mlp_sink_attention 0) of $(last adam3 sink_attention train 1)"
  compare "  and to its value" ".73 becomes 10.6" "ratio $(of "$skip" train layer_skip_mlp_value_norm_ratio 0) of $(last adam3 value_norm_ratio train 1)"
  compare "ReLU: weight on <s>" "no sink" "$(last relu sink_attention_gu train 0)"
  compare "ReLU: the task" "solved all the same" "loss $(last relu probe_loss train) against $(last adam probe_loss train)"
  compare "Adam, 3 layers: residual norm of <s>" "grows, +12.4 per 1000 steps" "$(slope adam3 500 1500) per 1000 steps"
  compare "SGD, 3 layers: residual norm of <s>" "does not, -.8 per 1000 steps" "$(slope sgd3 500 1500) per 1000 steps"
  compare "SGD, 3 layers: attention on <s>, layer 1" "the sink is there all the same" "$(last sgd3 sink_attention train/other 1)"
  echo "  Llama and OLMo: sinkwatch_worker measure --protocol=paper and --protocol=paper-olmo on their checkpoints."
  echo "  What to run for each claim alone, and where it differs and why: worker/examples/bigram_backcopy/README.md."
  show_addresses adam
  stay
  [[ "$censoring" == none ]] || die "the sink of the softmax run $(emerged "$after" "$by" "$censoring")"
  awk -v raw="$(last relu sink_attention_gu train 0)" 'BEGIN {exit !(raw !~ /none/ && raw <= 0.02)}' ||
    die "ReLU attention has a sink"
  awk -v a="$(of "$head" A "$zero" 0)" -v b="$(of "$head" B "$zero" 0)" 'BEGIN {exit !(a !~ /none/ && b !~ /none/ && a <= 0.06 && a >= -0.06 && b >= 1)}' ||
    die "the head is not needed in B alone"
  awk -v adam="$(slope adam3 500 1500)" -v sgd="$(slope sgd3 500 1500)" 'BEGIN {exit !(adam >= 4 && sgd <= 1)}' ||
    die "the residual slopes are not those of Adam and SGD"
}

"run_$scenario"
