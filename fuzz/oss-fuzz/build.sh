#!/bin/bash -eu
# Builds every fuzz target as OSS-Fuzz and ClusterFuzzLite ask for it: with $CC, $CXX, their flags and
# $LIB_FUZZING_ENGINE, linked by $CXX, into $OUT, each with its seeds, options and dictionary. The sources lie in
# $SRC/mapproof. No cmake: the image's flags are all there is, and nothing is looked for. scripts/oss-fuzz-check runs it.

cd "${SRC:?}/mapproof"
: "${OUT:?}" "${WORK:?}" "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}"
objects=$WORK/mapproof
mkdir -p "$objects"
export CC CFLAGS="${CFLAGS:-} -std=gnu17 -Icore -Ifuzz" objects
link_flags=${CXXFLAGS:-}

# compile FILE [FLAG...]; the object is named after the file and the flags.
compile() {
    local name=${1//\//_} file=$1
    shift
    # shellcheck disable=SC2086 # flags are words
    $CC $CFLAGS "$@" -c "$file" -o "$objects/${name%.c}${*//[^A-Za-z0-9]/}.o"
}
export -f compile

# One line a call of compile. The page-table engines twice, as CMakeLists.txt has them: without vector registers, which
# is how a kernel would build them, and with.
calls() {
    local source
    for source in core/*/*.c core/pt/formats/*.c fuzz/*.c; do
        case $source in
        *_test.c | core/cli/* | fuzz/replay.c) continue ;;
        esac
        if [[ $(uname -m) == x86_64 && $source == core/pt/formats/* ]]; then
            echo "$source -mgeneral-regs-only"
            echo "$source -DPT_VECTOR=1"
        else
            echo "$source"
        fi
    done
}

# A file without the entry point, as fuzz_input.c, helps others.
targets() { grep -l LLVMFuzzerTestOneInput fuzz/fuzz_*.c; }

calls | xargs -P "$(nproc)" -I{} bash -euc 'compile {}'

# All but the targets in an archive: each target links what it uses.
rm -f "$objects/libmapproof.a"
ar rcs "$objects/libmapproof.a" "$objects"/core_*.o
for source in fuzz/*.c; do
    object=$objects/fuzz_$(basename "$source" .c).o
    if [ -e "$object" ] && ! targets | grep -qx "$source"; then ar rs "$objects/libmapproof.a" "$object"; fi
done

# Bytes as they are: fuzz_parse. All others take records, which the scripts' mutator makes.
for source in $(targets); do
    name=$(basename "$source" .c)
    parts=("$objects/fuzz_$name.o")
    seeds=corpus/seed/$name
    if [ "$name" != fuzz_parse ]; then
        parts+=("$objects/fuzz_script_mutator.o")
        cp fuzz/oss-fuzz/records.options "$OUT/$name.options"
        [ -d "$seeds" ] || seeds=corpus/seed/fuzz_engine
    fi
    # shellcheck disable=SC2086
    $CXX $link_flags "${parts[@]}" "$objects/libmapproof.a" $LIB_FUZZING_ENGINE \
        -Wl,-Bstatic -llzma -Wl,-Bdynamic -lpthread -o "$OUT/$name"
    python3 - "$OUT/${name}_seed_corpus.zip" "$seeds"/* <<'END'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    for path in sys.argv[2:]:
        archive.write(path, os.path.basename(path))
END
    for extra in "fuzz/dictionaries/$name.dict" "fuzz/oss-fuzz/$name.options"; do
        if [ -e "$extra" ]; then cp "$extra" "$OUT"; fi
    done
done
