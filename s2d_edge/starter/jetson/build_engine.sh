#!/bin/sh
# Builds the TensorRT plan of this bundle, on the machine that will run it: a plan fits one GPU and one TensorRT.
#
#   sh build_engine.sh            build it, unless it is there already
#   sh build_engine.sh --force    build it anew
#
# The environment may say otherwise than the defaults:
#   TRTEXEC         the trtexec to use; default: the one on PATH, else JetPack's in /usr/src/tensorrt/bin
#   WORKSPACE_MIB   memory that a layer may take beside its tensors; default: an eighth of what there is
#   S2D_EDGE_CACHE  where plans are kept; default: s2d-edge in ${XDG_CACHE_HOME:-~/.cache}
#
# Nothing is written into the bundle. Beside the plan lies a record of what it was built from and for, which
# s2d-edge checks before it uses the plan.
set -eu

# Filled in when the bundle was written.
name=starter-jetson
precision=int8
model_sha256=771a60deaabbc0885f36c9b41dfd1c8eb7727b6b7da874694082086c609a0182
half_sha256=d6b8f6de77df7803ece17b73e725b3a6ea8f3e1fc372b36d60e80fbb4d2ba422

die() {
    echo "error: $*" >&2
    exit 1
}

hash_of() {
    sha256sum <"$1" | cut -d ' ' -f 1
}

check_hash() {
    [ -f "$bundle/$1" ] || die "$bundle/$1 is missing; copy the whole bundle again"
    [ "$(hash_of "$bundle/$1")" = "$2" ] || die "$bundle/$1 was altered or damaged; copy the bundle again"
}

find_trtexec() {
    if [ -n "${TRTEXEC:-}" ]; then
        [ -x "$TRTEXEC" ] || die "TRTEXEC=$TRTEXEC is no program; give the path of trtexec"
        echo "$TRTEXEC"
    elif command -v trtexec >/dev/null 2>&1; then
        command -v trtexec
    elif [ -x /usr/src/tensorrt/bin/trtexec ]; then
        echo /usr/src/tensorrt/bin/trtexec
    else
        die "there is no trtexec here, on PATH or in /usr/src/tensorrt/bin; on a Jetson: sudo apt-get install" \
            "nvidia-jetpack; elsewhere install TensorRT, or set TRTEXEC to it"
    fi
}

# 10.3.0 is 100300 since TensorRT 10; 8.6.2 was 8602.
version_of() {
    number=$("$1" --help 2>&1 | sed -n 's/.*\[TensorRT v\([0-9][0-9]*\)\].*/\1/p' | head -n 1)
    [ -n "$number" ] || die "$1 does not tell TensorRT's version; is it trtexec, and can it load its libraries?"
    if [ "$number" -ge 100000 ]; then
        echo "$((number / 10000)).$((number / 100 % 100)).$((number % 100))"
    else
        echo "$((number / 1000)).$((number / 100 % 10)).$((number % 100))"
    fi
}

ask_gpu() {
    nvidia-smi "--query-gpu=$1" --format=csv,noheader,nounits 2>/dev/null | head -n 1
}

machine_name() {
    if [ -r /proc/device-tree/model ]; then
        tr -d '\000' </proc/device-tree/model
    else
        ask_gpu name
    fi
}

# A Jetson's GPU shares the memory with everything else: an eighth leaves a board of 8 GB seven for the rest.
default_workspace() {
    total=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1024))
    own=$(ask_gpu memory.total)
    case $own in
    '' | *[!0-9]*) ;;
    *) [ "$own" -ge "$total" ] || total=$own ;;
    esac
    eighth=$((total / 8))
    [ "$eighth" -ge 256 ] || eighth=256
    [ "$eighth" -le 4096 ] || eighth=4096
    echo "$eighth"
}

# What trtexec said of the machine, to be kept in the record.
told() {
    sed -n "s/.*\[I\] $1: *//p" "$work/log" | head -n 1 | tr -d '"\\\r'
}

tell_next_steps() {
    echo "next:"
    echo "  s2d-edge selftest '$bundle' --device tensorrt"
    echo "  s2d-edge run --bundle '$bundle' --device tensorrt --camera 0"
}

force=no
for argument; do
    case $argument in
    --force) force=yes ;;
    -h | --help)
        sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
        exit 0
        ;;
    *) die "$argument is unknown; there is only --force" ;;
    esac
done

bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
check_hash model.onnx "$model_sha256"
trtexec=$(find_trtexec)
version=$(version_of "$trtexec")
major=${version%%.*}
minor=${version#*.}
minor=${minor%%.*}
[ $((major * 100 + minor)) -ge 806 ] ||
    die "TensorRT $version has no layer normalisation; 8.6 or later is needed, which JetPack 6 brings"

# Until TensorRT 10, the builder chooses among the types it is allowed. TensorRT 11 takes those of the graph.
graph=model.onnx
graph_sha256=$model_sha256
if [ "$major" -ge 11 ]; then
    if [ "$precision" = int8 ]; then
        graph=model_fp16.onnx
        graph_sha256=$half_sha256
        check_hash "$graph" "$graph_sha256"
    fi
    types=--stronglyTyped
elif [ "$precision" = int8 ]; then
    types='--int8 --fp16'
else
    types=--fp16
fi

workspace=${WORKSPACE_MIB:-$(default_workspace)}
case $workspace in
'' | 0 | *[!0-9]*) die "WORKSPACE_MIB=$workspace is no number of MiB" ;;
esac

cache=${S2D_EDGE_CACHE:-}
if [ -z "$cache" ]; then
    [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || die "there is no HOME to keep the plan in; set S2D_EDGE_CACHE"
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/s2d-edge
fi
machine=$(machine_name | tr -cs 'A-Za-z0-9\n' '-')
stem=${machine:-GPU}-trt$version
folder=$cache/plans/$(printf %.32s "$model_sha256")
plan=$folder/$stem.plan
record=$folder/$stem.json

if [ "$force" = no ] && [ -f "$plan" ] && [ -f "$record" ]; then
    if grep -q "\"graph_sha256\": \"$graph_sha256\"" "$record" &&
        grep -q "\"plan_sha256\": \"$(hash_of "$plan")\"" "$record"; then
        echo "there already, built by TensorRT $version: $plan (--force builds it anew)"
        tell_next_steps
        exit 0
    fi
    echo "$plan is not what its record says: building it anew"
fi

mkdir -p "$folder" || die "$folder cannot be made; set S2D_EDGE_CACHE to a folder that can be written"
work=$(mktemp -d "$folder/.build.XXXXXX") || die "$folder cannot be written; set S2D_EDGE_CACHE to another"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "building $name ($precision) with TensorRT $version, at most $workspace MiB of workspace; this takes minutes"
# shellcheck disable=SC2086  # $types holds one or two options
{
    "$trtexec" --onnx="$bundle/$graph" --saveEngine="$work/plan" $types \
        --memPoolSize="workspace:$workspace" --timingCacheFile="$cache/plans/$stem.timing" --skipInference 2>&1 &&
        : >"$work/done"
} | tee "$work/log"
if [ ! -f "$work/done" ] || [ ! -s "$work/plan" ]; then
    mv "$work/log" "$folder/$stem.log"
    die "trtexec built no plan; what it said is in $folder/$stem.log. Short of memory? Close other programs," \
        "or set WORKSPACE_MIB below $workspace"
fi

cat >"$work/record" <<END
{
  "format": 1,
  "bundle": "$name",
  "model_sha256": "$model_sha256",
  "graph": "$graph",
  "graph_sha256": "$graph_sha256",
  "plan_sha256": "$(hash_of "$work/plan")",
  "options": "$types",
  "workspace_mib": $workspace,
  "tensorrt": "$version",
  "gpu": "$(told 'Selected Device')",
  "compute_capability": "$(told 'Compute Capability')",
  "multiprocessors": "$(told SMs)"
}
END
rm -f "$record"
mv "$work/plan" "$plan"
mv "$work/record" "$record"
echo "built: $plan"
tell_next_steps
