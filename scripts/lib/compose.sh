# shellcheck shell=bash
# Reads compose files as Docker does, without Docker. Needs common.sh and packages.sh.
# shellcheck disable=SC2034,SC2154 # the test reads the path; $go is set by find_go

compose_check=$YAKS_TOOLS/bin/compose

install_compose_check() {
  find_go
  once compose-check "$(checksum_of "$YAKS_ROOT"/tools/compose/{go.mod,go.sum,main.go})" build_compose_check
}
build_compose_check() { env -C "$YAKS_ROOT/tools/compose" GOBIN="$YAKS_TOOLS/bin" GOFLAGS=-buildvcs=false "$go" install .; }
