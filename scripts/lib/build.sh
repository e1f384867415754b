# shellcheck shell=bash
# Configures and builds. Needs common.sh.

# build_preset PRESET [TARGET...]: everything, or only these targets (paths in the build folder work too).
build_preset() {
  local preset=$1 log
  shift
  log=$(mktemp)
  if ! cmake -S "$YAKS_ROOT" --preset "$preset" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "cmake could not configure the build (above)." \
      "If build/$preset was made with another compiler or in another folder, remove it: rm -rf build/$preset"
  fi
  rm -f "$log"
  cmake --build "$YAKS_ROOT/build/$preset" --parallel "$(nproc)" ${1:+--target "$@"} || die "the build failed (above)."
}
