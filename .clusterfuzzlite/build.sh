#!/bin/bash -eu
# One build script for both services.
exec bash "$SRC/mapproof/fuzz/oss-fuzz/build.sh"
