#!/usr/bin/env bash
# The Debian package and the release archive that .ci/package made, as somebody meets them who has neither
# the source nor Rust: what is in them, what they need, and the demo, run from the package.
# As root, the package is installed by apt and removed again too, unless a whosaw is installed.
# Usage: tests/package.sh FOLDER
set -euo pipefail
cd "$1"
sha256sum --check --quiet SHA256SUMS
package=$(realpath whosaw_*.deb) archive=$(realpath whosaw-*.tar.gz)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# alone PROGRAM ARGUMENT...: runs it in an empty folder with nothing of the builder's environment.
alone() {
    mkdir -p "$folder/alone"
    (cd "$folder/alone" && env -i HOME="$folder/alone" PATH=/usr/bin:/bin "$@")
}

there() {
    for file; do [ -s "$file" ] || { echo "$file is missing"; exit 1; }; done
}

echo "== the package"
dpkg-deb --info "$package"
dpkg -x "$package" "$folder/installed"
whosaw=$folder/installed/usr/bin/whosaw
share=$folder/installed/usr/share/doc/whosaw
there "$whosaw" "$share/copyright" "$share/README.md" "$share/docs/OPERATIONS.md" "$share/docs/GLOSSARY.md" "$share/contrib/nginx.conf" \
    "$share/schemas/agreement.json" "$share/examples/limits-trial.json" "$share/contrib/systemd/whosaw.service" \
    "$folder"/installed/usr/lib/{systemd/system/whosaw.service,systemd/system/whosaw-witness.service,sysusers.d/whosaw.conf}

# Every library that the program loads comes from a package that it depends on.
depends=$(dpkg-deb --field "$package" Depends)
[ -n "$depends" ] || { echo "it depends on nothing?"; exit 1; }
ldd "$whosaw" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r library; do
    owner=$(dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library" 2>/dev/null || dpkg -S "$(realpath "$library")")
    owner=${owner%%:*}
    case ", $depends," in
    *", $owner "* | *", $owner,"*) ;;
    *) echo "$library is $owner's, and the package depends on: $depends"; exit 1 ;;
    esac
done

alone "$whosaw" demo --data story >"$folder/told"
tail -n 3 "$folder/told"

echo "== the archive"
mkdir "$folder/unpacked"
tar -C "$folder/unpacked" -xzf "$archive"
unpacked=$(echo "$folder/unpacked"/whosaw-*)
there "$unpacked"/{LICENSE-MIT,LICENSE-APACHE,README.md,CHANGELOG.md,docs/PROTOCOL.md,docs/TOUR.md} \
    "$unpacked"/{schemas/agreement.json,examples/limits-trial.json,examples/lakeland/terms.json}
alone "$unpacked/whosaw" --version
[ "$(alone "$unpacked/whosaw" --version)" = "$(alone "$whosaw" --version)" ]

if [ "$(id -u)" = 0 ] && ! dpkg-query -s whosaw >/dev/null 2>&1; then
    echo "== installed by apt"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$package"
    alone whosaw --version
    dpkg --verify whosaw
    apt-get remove -y -q whosaw
fi
