#!/bin/bash
# test.sh FOLDER: unpacks each Debian package that dist.sh has written and runs its program: version, configuration,
# and a replayed run; it checks the sums, and that nothing is linked from outside. arm64 needs qemu-user-static.
set -euo pipefail
cd "$1"
sha256sum --quiet -c SHA256SUMS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for deb in "$PWD"/stirwatch_*.deb; do
  arch=$(dpkg-deb -f "$deb" Architecture)
  run=
  if [ "$arch" != "$(dpkg --print-architecture)" ]; then
    run=$(command -v qemu-aarch64-static) || { echo "$arch: qemu-user-static is not here; not run"; continue; }
  fi
  root=$work/$arch
  dpkg-deb -x "$deb" "$root"
  for f in usr/bin/stirwatch usr/lib/systemd/system/stirwatch.service usr/lib/sysusers.d/stirwatch.conf \
    usr/lib/tmpfiles.d/stirwatch.conf usr/share/doc/stirwatch/docs/getting-started.md usr/share/doc/stirwatch/sbom.txt usr/share/man/man1/stirwatch.1.gz usr/share/man/man1/stirwatch-config-check.1.gz; do
    [ -s "$root/$f" ] || { echo "$arch: $f is missing"; exit 1; }
  done
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
echo "the packages are right"
