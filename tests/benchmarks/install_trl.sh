#!/bin/sh
# Make an environment for the contestants `trl` and `trl-packed` of compare.py:
#   sh tests/benchmarks/install_trl.sh FOLDER
#   python tests/benchmarks/compare.py chat-lora --trl-python FOLDER/bin/python
set -e
here=$(cd "$(dirname "$0")/../.." && pwd)
python3 -m venv "$1"
"$1/bin/pip" install -q -c "$here/constraints.txt" trl==1.16.0 peft
