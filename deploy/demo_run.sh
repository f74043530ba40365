#!/usr/bin/env bash
# What `bazel run //:demo` and deploy/demo.sh run: server, worker and trainers in
# a folder of their own, progress while it goes, tables at the end.
set -euo pipefail

usage="usage: demo [--once] [--scenario=sink|paper] [--pace=SECONDS] [--http=PORT] [--grpc=PORT]"
once="" scenario=sink pace=0.5 http=17460 grpc=17461
for argument in "$@"; do
  case "$argument" in
    --once) once=1 ;;
    --scenario=sink | --scenario=paper) scenario="${argument#*=}" ;;
    --pace=*) pace="${argument#*=}" ;;
    --http=*) http="${argument#*=}" ;;
    --grpc=*) grpc="${argument#*=}" ;;
    *) echo "demo: unknown argument '$argument'"; echo "$usage"; exit 2 ;;
  esac
done >&2

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
  local server_pid=$! tries=0
  until curl -sf "http://127.0.0.1:$http/-/ready" >/dev/null; do
    kill -0 "$server_pid" 2>/dev/null || { cat "$work/server.log" >&2; die "the server did not start"; }
    ((++tries < 300)) || die "the server is not ready after 30 s"
    sleep 0.1
  done
  start worker "$worker" run --server="127.0.0.1:$grpc" --device=cpu --threads=1
}

count() {  # RUN STATE
  "${sinkctl[@]}" checkpoints "$1" --format=csv | awk -F, -v state="$2" '
    NR == 1 {for (i = 1; i <= NF; i++) if ($i == "state") column = i}
    NR > 1 && $column == state {n++} END {print n + 0}'
}

# A line for each look: what the trainers do, what is measured.
follow() {  # CHECKPOINTS TRAINER_PID... -- RUN...
  local wanted="$1"; shift
  local pids=() line last="" run done_count training
  while [[ "$1" != -- ]]; do pids+=("$1"); shift; done
  shift
  while true; do
    training=""
    line=""
    for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null && training=1; done
    local all=1
    for run in "$@"; do
      done_count="$(count "$run" done)"
      line+="  $run $done_count/$wanted measured"
      ((done_count >= wanted)) || all=0
      local dead; dead="$(count "$run" dead)"
      ((dead == 0)) || { "${sinkctl[@]}" checkpoints "$run"; die "$dead checkpoints of $run were given up"; }
    done
    [[ "$line" == "$last" ]] || printf '%(%H:%M:%S)T%s%s\n' -1 "$line" "${training:+  (training)}"
    last="$line"
    ((all)) && return 0
    if [[ -z "$training" ]] && ! ls -d "$work"/runs/*/step* >/dev/null 2>&1; then
      cat "$work"/train_*.log >&2; die "the trainer wrote nothing"
    fi
    sleep 0.3
  done
}

column() {  # RUN METRIC DOMAIN [LAYER]: "step,value" lines
  "${sinkctl[@]}" series "$1" --metric="$2" --domain="$3" ${4:+--layer="$4"} --format=csv |
    awk -F, 'NR > 1 {print $1 "," $2}'
}

table() {  # RUN LAYER
  local run="$1" layer="$2" parts=()
  column "$run" sink_attention train/other "$layer" >"$work/c1"
  column "$run" sink_attention train/trigger "$layer" >"$work/c2"
  column "$run" value_norm_ratio train "$layer" >"$work/c3"
  column "$run" sink_delta_logit train "$layer" >"$work/c4"
  column "$run" probe_loss train >"$work/c5"
  printf '%6s  %22s  %22s  %16s  %11s  %10s\n' step \
    'sink attention (other)' 'sink attention (trig.)' 'value norm ratio' 'delta logit' 'probe loss'
  paste -d, "$work"/c[1-5] | awk -F, '{printf "%6d  %22.4f  %22.4f  %16.3f  %11.2f  %10.4f\n", $1, $2, $4, $6, $8, $10}'
}

emergence() {  # RUN METRIC DOMAIN THRESHOLD LAYER [--below]: "after by censoring"
  "${sinkctl[@]}" emergence "$1" --metric="$2" --domain="$3" --threshold="$4" --layer="$5" ${6:-} --format=csv |
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) place[$i] = i}
             NR == 2 {print $place["after_step"], $place["by_step"], $place["censoring"]}'
}

last_value() { column "$@" | tail -1 | cut -d, -f2; }
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
  follow 18 $! -- toy
  say "What was measured, by training step (layer 0, head 0)"
  table toy 0
  local after by censoring
  read -r after by censoring < <(emergence toy sink_attention train/other 0.5 0)
  say "The sink (attention >= .5 on rows that are no triggers) emerged in steps ($after, $by]"
  show_addresses toy
  stay
  # What reference trainings of ten seeds gave, with room for another machine's
  # rounding: worker/examples/bigram_backcopy/README.md.
  [[ "$censoring" == none ]] && ((by <= 600)) || die "no emergence by step 600: $after $by $censoring"
  awk -v mass="$(last_value toy sink_attention train/other 0)" \
      -v active="$(last_value toy sink_attention train/trigger 0)" \
      -v ratio="$(last_value toy value_norm_ratio train 0)" 'BEGIN {
        exit !(mass >= 0.55 && active <= 0.05 && ratio <= 0.45)}' ||
    die "the last checkpoint is not what was expected (see the table)"
}

slope() {  # RUN FROM TO: growth of the residual norm of <s> after layer 0, per 1000 steps
  awk -v a="$(at_step "$2" "$1" residual_norm_sink train 0)" -v b="$(at_step "$3" "$1" residual_norm_sink train 0)" \
    -v n="$(($3 - $2))" 'BEGIN {printf "%.2f", (b - a) * 1000 / n}'
}

compare() { printf '  %-48s %-28s %s\n' "$@"; }

run_paper() {
  say "Four trainings side by side: softmax and ReLU attention, Adam and SGD with three layers"
  start_service adam relu adam3 sgd3
  local pids=() run
  for run in adam relu adam3 sgd3; do
    start "train_$run" "$trainer" --preset="$run" --out="$work/runs/$run" \
      --checkpoints="$(case "$run" in adam | relu) echo 0,100,130,160,200,250,300,400,600,800 ;; *) echo 0,100,200,300,500,700,900,1100,1300,1500 ;; esac)"
    pids+=($!)
  done
  follow 10 "${pids[@]}" -- adam relu adam3 sgd3
  say "adam: one layer, softmax attention"; table adam 0
  say "relu: one layer, ReLU attention"; table relu 0
  say "Beside the paper"
  local after by censoring
  read -r after by censoring < <(emergence adam sink_attention train/other 0.5 0)
  compare "" "the paper (arXiv 2410.13835)" "measured here"
  compare "softmax/Adam: attention on <s>, no triggers" "about .8, from step 258 above .5" "$(last_value adam sink_attention train/other 0), in ($after, $by]"
  compare "softmax/Adam: attention on <s>, triggers" "dormant head is active there" "$(last_value adam sink_attention train/trigger 0)"
  compare "softmax/Adam: value of <s> against the others" "drained" "ratio $(last_value adam value_norm_ratio train 0)"
  compare "ReLU/Adam: attention on <s>" "no sink" "$(last_value relu sink_attention train/other 0) of the row, raw mass in the page"
  compare "ReLU/Adam: the task" "solved all the same" "loss $(last_value relu probe_loss train) against $(last_value adam probe_loss train)"
  compare "3 layers, Adam: residual norm of <s>" "grows, +12.4 per 1000 steps" "$(slope adam3 500 1500) per 1000 steps"
  compare "3 layers, SGD: residual norm of <s>" "does not, -.8 per 1000 steps" "$(slope sgd3 500 1500) per 1000 steps"
  show_addresses adam
  stay
  [[ "$censoring" == none ]] || die "no emergence in the softmax run"
  awk -v adam="$(slope adam3 500 1500)" -v sgd="$(slope sgd3 500 1500)" 'BEGIN {exit !(adam >= 4 && sgd <= 1)}' ||
    die "the residual slopes are not those of Adam and SGD"
}

"run_$scenario"
