#!/bin/sh
# Makes a Python environment with PyTorch for CPUs: the peer of `remedis-train bench --against`, torch_golden.py and torch_import.py.
# Usage: tools/peers/install-torch.sh VENV      then: VENV/bin/python-torch is a Python that can import torch.
# Where only the CUDA build can be had (a mirror of the package index), it is installed without its gigabytes of CUDA libraries
# by ../shared/bench/torch_cpu.sh, if that is there. Nothing that ships needs it.
set -eu

dir=$(realpath -m "${1:?usage: install-torch.sh VENV}")
here=$(cd "$(dirname "$0")" && pwd)
cpu_index=https://download.pytorch.org/whl/cpu
without_cuda="$here/../../../shared/bench/torch_cpu.sh"

[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check numpy safetensors pyyaml
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps timm
if ! "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 --index-url "$cpu_index" torch torchvision; then
    if [ ! -e "$without_cuda" ]; then
        echo "install-torch: $cpu_index cannot be reached; install torch into $dir yourself" >&2
        exit 2
    fi
    bash "$without_cuda" "$dir"
fi
# Stubs stand for CUDA libraries that are missing, where the script above made them.
cat > "$dir/bin/python-torch" <<END
#!/bin/sh
[ ! -d "$dir/stubs" ] || export LD_LIBRARY_PATH="$dir/stubs\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$dir/bin/python" "\$@"
END
chmod +x "$dir/bin/python-torch"
"$dir/bin/python-torch" -c 'import torch, torchvision; print("PyTorch", torch.__version__, "is installed")'
