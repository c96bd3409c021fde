#!/bin/sh
# Unpack an arm64 Debian 12 with Python 3.11 into a folder, as any user:
#
#     sh tools/aarch64/root.sh build/aarch64/root
#
# debootstrap finds, downloads and verifies the packages; `debootstrap --foreign` would also unpack them, but does
# so for root alone, since it makes devices. `dpkg -x` asks for no privilege. No package's own script is run, which
# Python and the libraries under it do without.
#
# DEBIAN_MIRROR says where from; otherwise the mirror that this machine's apt uses, otherwise deb.debian.org.
# What was downloaded is kept beside the root, and neither is done twice.
set -eu

SUITE=bookworm # Python 3.11; Python 3.10 was in no release of Debian
PACKAGES=python3
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

root=${1:?"usage: root.sh FOLDER"}
debs=$root-packages
PATH=$PATH:/usr/sbin:/sbin # where debootstrap lies, and users do not look

unpacked=
[ ! -r "$root/.packages" ] || read -r unpacked <"$root/.packages"
if [ "$unpacked" = "$SUITE $PACKAGES" ]; then
	exit 0
fi

missing=
for pair in debootstrap:debootstrap dpkg:dpkg gpgv:gpgv; do
	command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -r "$KEYRING" ] || missing="$missing debian-archive-keyring"
if [ -n "$missing" ]; then
	echo "error: unpacking an arm64 root needs what this machine lacks; on Debian or Ubuntu: apt-get install$missing" >&2
	exit 1
fi

apt_mirror() {
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2016 # $(ORIGIN) and its like are apt's to fill in
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Debian" && $3 ~ /^https?:/ { print $3; exit }'
}
mirror=${DEBIAN_MIRROR:-$(apt_mirror)}
mirror=${mirror:-http://deb.debian.org/debian}

echo "downloading Debian $SUITE for arm64 from the mirror $mirror" >&2
mkdir -p "$debs"
if ! debootstrap --download-only --arch=arm64 --variant=minbase --include="$PACKAGES" --keyring="$KEYRING" \
	"$SUITE" "$debs" "$mirror" >"$debs.log" 2>&1; then
	tail -n 5 "$debs.log" >&2
	echo "error: debootstrap could not download Debian $SUITE; see $debs.log, or name a mirror: DEBIAN_MIRROR=URL" >&2
	exit 1
fi

echo "unpacking into $root" >&2
rm -rf "$root.part"
mkdir -p "$root.part"
for package in "$debs"/var/cache/apt/archives/*.deb; do
	dpkg -x "$package" "$root.part"
done
echo "$SUITE $PACKAGES" >"$root.part/.packages"
rm -rf "$root"
mv "$root.part" "$root"
