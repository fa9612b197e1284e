#!/bin/bash
# test.sh FOLDER: unpacks each Debian package that dist.sh has written and runs its program: version, configuration,
# and a replayed run; it checks the sums, and that nothing is linked from outside. arm64 needs qemu-user-static. The
# package of this computer is installed into a clean Debian, upgraded, removed and purged, which needs root, debootstrap
# and a mirror (MIRROR).
set -euo pipefail
dist=$1
cd "$dist"
sha256sum --quiet -c SHA256SUMS
work=$(mktemp -d)
trap 'umount "$work/clean/proc" 2>/dev/null; rm -rf "$work"' EXIT
for deb in "$PWD"/stirwatch_*.deb; do
  arch=$(dpkg-deb -f "$deb" Architecture)
  run=
  if [ "$arch" != "$(dpkg --print-architecture)" ]; then
    run=$(command -v qemu-aarch64-static) || { echo "$arch: qemu-user-static is not here; not run"; continue; }
  fi
  root=$work/$arch
  dpkg-deb -x "$deb" "$root"
  for f in usr/bin/stirwatch usr/lib/systemd/system/stirwatch.service usr/lib/sysusers.d/stirwatch.conf \
    usr/lib/tmpfiles.d/stirwatch.conf usr/share/doc/stirwatch/docs/getting-started.md usr/share/doc/stirwatch/sbom.cdx.json usr/share/man/man1/stirwatch.1.gz usr/share/man/man1/stirwatch-config-check.1.gz; do
    [ -s "$root/$f" ] || { echo "$arch: $f is missing"; exit 1; }
  done
  grep -q '"bomFormat": "CycloneDX"' "$root/usr/share/doc/stirwatch/sbom.cdx.json"
  grep -q 'pkg:golang/github.com/eclipse/paho.mqtt.golang@' "$root/usr/share/doc/stirwatch/sbom.cdx.json"
  grep -q '^ExecStart=/usr/bin/stirwatch run' "$root/usr/lib/systemd/system/stirwatch.service"
  ! readelf -l "$root/usr/bin/stirwatch" 2>/dev/null | grep -q INTERP || { echo "$arch: the program is not static"; exit 1; }
  cd "$root"
  $run usr/bin/stirwatch --version | tee version
  grep -q "linux/$arch" version
  $run usr/bin/stirwatch config init agent.yaml 2>/dev/null
  $run usr/bin/stirwatch config check agent.yaml
  { echo time,tool_temperature; for i in $(seq 10 59); do echo "2026-07-01T06:00:${i}Z,$((i + 20))"; done; } >run.csv
  cat >try.yaml <<'TRY'
machine: try
channels: {tool_temperature: {is: tool temperature, unit: °C}}
sources: {log: {log: {path: run.csv, time: {key: time, unit: rfc3339}}}}
TRY
  $run usr/bin/stirwatch replay -c try.yaml --into replay.db run.csv 2>/dev/null
  rows=$($run usr/bin/stirwatch export --journal replay.db --wide 2>/dev/null | tail -n +2 | wc -l)
  [ "$rows" = 50 ] || { echo "$arch: $rows rows out of the replayed journal, want 50"; exit 1; }
done

MIRROR=${MIRROR:-http://deb.debian.org/debian}
clean=$work/clean
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || ! debootstrap --variant=minbase --include=systemd bookworm "$clean" "$MIRROR" >"$work/log" 2>&1; then
  echo "no clean Debian to install into (root, debootstrap and $MIRROR are needed); the rest is not tested"
  exit 0
fi
mount -t proc proc "$clean/proc"
inside() { chroot "$clean" "$@"; }
fail() { echo "clean Debian: $*"; exit 1; }
deb=$(ls "$dist"/stirwatch_*_"$(dpkg --print-architecture)".deb)
cp "$deb" "$clean/old.deb"
dpkg-deb -R "$deb" "$work/next" # the same once more, as a later version
sed -i "s/^Version: .*/&.1/" "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group --build "$work/next" "$clean/new.deb" >/dev/null

inside dpkg -i old.deb >/dev/null 2>&1
inside id stirwatch >/dev/null || fail "no user"
[ "$(stat -c %a "$clean/etc/stirwatch")" = 750 ] || fail "/etc/stirwatch is not for the agent alone"
inside systemd-analyze verify /usr/lib/systemd/system/stirwatch.service 2>"$work/unit" || true
! grep -i stirwatch "$work/unit" || fail "the unit is not right"
mkdir -p "$clean/var/lib/stirwatch"
cp "$work/$(dpkg --print-architecture)/try.yaml" "$clean/etc/stirwatch/agent.yaml"
cp "$work/$(dpkg --print-architecture)/run.csv" "$clean/var/lib/stirwatch/"
inside sh -c 'cd /var/lib/stirwatch && stirwatch replay -c /etc/stirwatch/agent.yaml --into replay.db run.csv' 2>/dev/null
rows() { inside stirwatch export --journal /var/lib/stirwatch/replay.db --wide 2>/dev/null | tail -n +2 | wc -l; }
[ "$(rows)" = 50 ] || fail "$(rows) rows in the journal, want 50"

inside dpkg -i new.deb >/dev/null 2>&1
[ -f "$clean/etc/stirwatch/agent.yaml" ] && [ "$(rows)" = 50 ] || fail "an upgrade loses configuration or record"
inside dpkg --force-downgrade -i old.deb >/dev/null 2>&1
[ -f "$clean/etc/stirwatch/agent.yaml" ] && [ "$(rows)" = 50 ] || fail "the way back loses configuration or record"
inside dpkg -r stirwatch >/dev/null
[ ! -e "$clean/usr/bin/stirwatch" ] || fail "the program is left"
[ -f "$clean/etc/stirwatch/agent.yaml" ] && [ -f "$clean/var/lib/stirwatch/replay.db" ] || fail "removing it takes configuration or record"
inside dpkg -P stirwatch >/dev/null 2>&1
[ ! -e "$clean/etc/stirwatch" ] || fail "purging it leaves the configuration"
[ -f "$clean/var/lib/stirwatch/replay.db" ] || fail "purging it takes the record"
echo "installed, upgraded, taken back, removed and purged in a clean Debian"
echo "the packages are right"
