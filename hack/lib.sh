# What the installers share. Messages begin with the name of the script that reads this.
# shellcheck shell=sh
script=$(basename "$0" .sh)

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"
	elif command -v sudo >/dev/null 2>&1; then sudo "$@"
	else
		echo "$script: this needs root or sudo: $*" >&2
		return 1
	fi
}

# system PROGRAM DEB RPM APK BREW installs packages of the system, lists of their names
# by the kind of system, unless PROGRAM is there.
# shellcheck disable=SC2086 # each list is split into names
system() {
	if command -v "$1" >/dev/null 2>&1; then return 0; fi
	echo "$script: installing $1"
	if command -v apt-get >/dev/null 2>&1; then
		as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $2 >/dev/null
	elif command -v dnf >/dev/null 2>&1; then as_root dnf -q install -y $3
	elif command -v apk >/dev/null 2>&1; then as_root apk add -q $4
	elif command -v brew >/dev/null 2>&1; then brew install -q $5
	else
		echo "$script: no apt-get, dnf, apk or brew to install $1 with" >&2
		return 1
	fi
}
