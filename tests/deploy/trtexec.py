"""A trtexec that builds nothing: it notes its arguments, talks as NVIDIA's does, and writes where from."""

from __future__ import annotations

from pathlib import Path

_SCRIPT = r"""#!/bin/sh
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v@number@] [b26] # $0 $*"
case "$*" in --help) echo "=== Model Options ==="; exit 0 ;; esac
for argument; do
    printf '%s\n' "$argument" >>'@notes@'
    case $argument in
    --onnx=*) graph=${argument#--onnx=} ;;
    --saveEngine=*) plan=${argument#--saveEngine=} ;;
    --timingCacheFile=*) : >"${argument#--timingCacheFile=}" ;;
    esac
done
echo '[04/07/2025-23:59:33] [I]   Device 0: "@gpu@" UUID: GPU-84a8068b'
echo '[04/07/2025-23:59:33] [I] Selected Device: @gpu@'
echo '[04/07/2025-23:59:33] [I] Selected Device ID: 0'
echo '[04/07/2025-23:59:33] [I] Compute Capability: 8.7'
echo '[04/07/2025-23:59:33] [I] SMs: 8'
if [ @code@ -ne 0 ]; then
    echo '[04/07/2025-23:59:34] [E] Error[2]: insufficient workspace' >&2
    exit @code@
fi
echo "PLAN @number@ $graph" >"$plan"
"""

_SMI = """#!/bin/sh
case "$*" in *memory.total*) echo '@memory@' ;; *) echo 'Orin (nvgpu)' ;; esac
"""


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def install(
    folder: Path, *, number: int = 100300, code: int = 0, gpu: str = "Orin", memory: str = "7620"
) -> Path:
    """Put a trtexec of that version and an nvidia-smi into ``folder``; returns the file of its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder / "arguments"
    values = {"number": number, "notes": notes, "gpu": gpu, "code": code}
    script = _SCRIPT
    for key, value in values.items():
        script = script.replace(f"@{key}@", str(value))
    _write(folder / "trtexec", script)
    _write(folder / "nvidia-smi", _SMI.replace("@memory@", memory))
    return notes
