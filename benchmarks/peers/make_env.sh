#!/bin/sh
# Make the environments of the peers: benchmarks/peers/make_env.sh FOLDER [PEER ...]
#
# Each peer has its own, so that their dependencies do not meet. All see this project's own packages behind
# theirs (torch and cv2 are then the same for all sides), but install over them what they need otherwise.
set -eu

repository=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$repository/.venv/bin/python}
folder=${1:?"usage: make_env.sh FOLDER [PEER ...]"}
shift
[ $# -gt 0 ] || set -- litdata streaming webdataset integration3

shared=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$folder"
# Another torch would bring gigabytes for GPUs, and another speed.
"$python" > "$folder/constraints.txt" << 'END'
import torch

version = torch.__version__.split("+")[0]
print(f"torch=={version}")
print(f"torchvision==0.{int(version.split('.')[1]) + 15}.0")  # the one that belongs to it
END

for peer in "$@"; do
    env=$folder/$peer
    [ -e "$env/.ready" ] && continue
    rm -rf "$env"
    "$python" -m venv "$env"
    case $peer in
        litdata) packages="litdata==0.2.76" ;;
        streaming) packages="mosaicml-streaming==0.13.0" ;;
        webdataset) packages="webdataset==1.0.2" ;;
        # mmcv's source is from before its build tools were split from setuptools.
        integration3) packages="deeplake==3.9.52 numpy<2 mmcv==1.7.2 mmdet==2.28.2 torchvision" ;;
        *) echo "unknown peer $peer" >&2; exit 2 ;;
    esac
    own=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    seen=$shared
    if [ "$peer" = litdata ]; then  # all but obstore, see below
        seen=$env/shared
        mkdir "$seen"
        ln -s "$shared"/* "$seen"
        rm "$seen"/obstore*
    fi
    echo "$seen" > "$own/zz_shared.pth"
    # shellcheck disable=SC2086  # several packages
    "$env/bin/pip" install -q -c "$folder/constraints.txt" "setuptools<70" wheel
    "$env/bin/pip" install -q -c "$folder/constraints.txt" --no-build-isolation $packages
    # With obstore LitData refuses endpoints without TLS, as the benchmark's is; it can do without.
    if [ "$peer" = litdata ]; then "$env/bin/pip" uninstall -q -y obstore; fi
    touch "$env/.ready"
done
