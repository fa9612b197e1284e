#!/bin/bash
# dist.sh VERSION FOLDER: for amd64 and arm64 a static binary, a tarball and a Debian package, with checksums and a
# bill of materials (CycloneDX) of all that was linked in. `make dist` calls it.
set -euo pipefail
version=$1 out=$2
cd "$(dirname "$0")/../.."
command -v dpkg-deb >/dev/null || { echo "dist: dpkg-deb is needed (Debian package dpkg)" >&2; exit 1; }
# Debian versions begin with a digit: v1.2.0-3-gabc is 1.2.0+3.gabc, a bare commit is 0~abc.
deb=${version#v}
case $deb in
  [0-9]*.*) deb=$(sed 's/-/+/;s/-/./g' <<<"$deb") ;;
  *) deb=0~$(tr -c 'A-Za-z0-9.\n' . <<<"$deb") ;;
esac
bom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
rm -rf "$out"
mkdir -p "$out"
man=$(mktemp -d)
trap 'rm -rf "$man"' EXIT
CGO_ENABLED=0 go run -trimpath -ldflags "-s -w -X main.version=$version" ./cmd/stirwatch man "$man"
gzip -9n "$man"/*.1
page=agent/dashboard/ui
[ ! -d $page/node_modules ] || npm --prefix $page sbom --sbom-format cyclonedx >"$out/stirwatch-$version-page.cdx.json"
for arch in amd64 arm64; do
  name=stirwatch-$version-linux-$arch
  root=$out/root-$arch
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/$name" ./cmd/stirwatch
  go run $bom bin -json -noserial -version "$version" -output "$out/$name.cdx.json" "$out/$name"

  install -D -m 755 "$out/$name" "$root/usr/bin/stirwatch"
  doc=$root/usr/share/doc/stirwatch
  mkdir -p "$doc/docs" "$root/DEBIAN"
  cp README.md CHANGELOG.md "$doc/"
  cp LICENSE "$doc/copyright"
  cp docs/*.md docs/*.svg "$doc/docs/"
  cp deploy/grafana/stirwatch.json deploy/systemd/99-stirwatch.rules "$doc/"
  install -D -m 644 deploy/systemd/stirwatch.service "$root/usr/lib/systemd/system/stirwatch.service"
  sed -i 's|/usr/local/bin/|/usr/bin/|; s|/usr/local/share/doc/|/usr/share/doc/|; s|^# /etc/systemd/system/.*|# See docs/deployment.md in /usr/share/doc/stirwatch.|' "$root/usr/lib/systemd/system/stirwatch.service"
  install -D -m 644 deploy/systemd/stirwatch.sysusers "$root/usr/lib/sysusers.d/stirwatch.conf"
  install -D -m 644 deploy/systemd/stirwatch.tmpfiles "$root/usr/lib/tmpfiles.d/stirwatch.conf"
  cp "$out/$name.cdx.json" "$doc/sbom.cdx.json"
  [ ! -f "$out/stirwatch-$version-page.cdx.json" ] || cp "$out/stirwatch-$version-page.cdx.json" "$doc/sbom-page.cdx.json"
  install -D -m 644 -t "$root/usr/share/man/man1" "$man"/*.1.gz
  tar --sort=name --owner=0 --group=0 --numeric-owner -C "$root" --exclude=./DEBIAN -czf "$out/$name.tar.gz" .

  cat >"$root/DEBIAN/control" <<CONTROL
Package: stirwatch
Version: $deb
Architecture: $arch
Maintainer: stirwatch maintainers <maintainers@stirwatch.invalid>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Section: science
Priority: optional
Recommends: systemd
Description: edge agent for additive friction stir deposition machines
 Reads thermocouples, forces and telemetry, keeps every reading, forecasts the
 tool temperature, says what is odd and advises. One static program.
CONTROL
  cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers stirwatch.conf
    systemd-tmpfiles --create stirwatch.conf || true
  else
    echo "stirwatch: there is no systemd here: the user stirwatch and /etc/stirwatch are yours to make" >&2
  fi
fi
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # A running agent takes the new program; one that is not enabled stays off: it has no configuration yet.
  systemctl try-restart stirwatch.service || true
fi
POSTINST
  cat >"$root/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now stirwatch.service || true
fi
PRERM
  cat >"$root/DEBIAN/postrm" <<'POSTRM'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  rm -rf /etc/stirwatch
  [ ! -d /var/lib/stirwatch ] || rmdir --ignore-fail-on-non-empty /var/lib/stirwatch
  [ ! -d /var/lib/stirwatch ] || echo "stirwatch: the record in /var/lib/stirwatch is left: remove it yourself if nobody needs it" >&2
fi
POSTRM
  chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
  dpkg-deb -Zgzip --root-owner-group --build "$root" "$out/stirwatch_${deb}_$arch.deb" >/dev/null
  rm -rf "$root"
done
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
