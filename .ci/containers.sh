# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A container engine of this job's own, for the tests that need one. Source it;
# then
#
#   containers_start DIR   installs Docker where it is missing (Debian, Ubuntu, as
#                          root), starts a daemon with all its files below DIR,
#                          and exports DOCKER_HOST
#   containers_stop        ends that daemon, and no other
#
# Containers get neither a bridge nor packet filter rules: the tests use loopback
# alone.

containers_start() {
  local dir=$1
  if ! command -v dockerd >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends docker.io iptables
  fi
  mkdir -p "$dir"
  # Privileged containers ask for all capabilities. On a machine that withholds
  # CAP_SYS_RESOURCE from root they cannot start, so the runtime's wrapper takes
  # it out of what is asked for.
  cat >"$dir/runc" <<'WRAPPER'
#!/bin/sh
bundle=.
previous=
for argument in "$@"; do
  case $previous in --bundle | -b) bundle=$argument ;; esac
  case $argument in --bundle=*) bundle=${argument#--bundle=} ;; esac
  previous=$argument
done
case " $* " in
*" create "* | *" run "*)
  if [ -f "$bundle/config.json" ]; then
    sed -i 's/,"CAP_SYS_RESOURCE"//g; s/"CAP_SYS_RESOURCE",//g' "$bundle/config.json"
  fi
  ;;
esac
exec runc "$@"
WRAPPER
  chmod 755 "$dir/runc"
  local runtime=runc
  # Bit 24 of the bounding set is CAP_SYS_RESOURCE.
  if (((0x$(sed -n 's/^CapBnd:\t//p' /proc/self/status) >> 24 & 1) == 0)); then
    runtime=without-sys-resource
  fi
  dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
    --host "unix://$dir/docker.sock" --bridge none --iptables=false \
    --add-runtime "without-sys-resource=$dir/runc" --default-runtime "$runtime" \
    >"$dir/log" 2>&1 &
  containers_pid=$!
  export DOCKER_HOST=unix://$dir/docker.sock
  local try
  for try in $(seq 300); do
    if docker version >/dev/null 2>&1; then
      return 0
    fi
    if ! kill -0 "$containers_pid" 2>/dev/null; then
      break
    fi
    sleep 0.1
  done
  echo "dockerd did not start:" >&2
  tail -n 30 "$dir/log" >&2
  return 1
}

containers_stop() {
  if [ -n "${containers_pid:-}" ]; then
    kill "$containers_pid" 2>/dev/null || true
    wait "$containers_pid" 2>/dev/null || true
    containers_pid=
  fi
}
