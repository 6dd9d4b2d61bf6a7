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

# again COMMAND... runs a command that asks the network up to three times: a mirror may fail for a moment.
again() {
	for pause in 5 20; do
		if "$@"; then return 0; fi
		echo "$script: $1 failed, trying again in $pause s" >&2
		sleep "$pause"
	done
	"$@"
}

# system PROGRAM DEB RPM APK BREW installs packages of the system, lists of their names
# by the kind of system, unless PROGRAM is there.
# shellcheck disable=SC2086 # each list is split into names
system() {
	if command -v "$1" >/dev/null 2>&1; then return 0; fi
	echo "$script: installing $1"
	if command -v apt-get >/dev/null 2>&1; then
		again as_root apt-get -qq update && again as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $2 >/dev/null
	elif command -v dnf >/dev/null 2>&1; then again as_root dnf -q install -y $3
	elif command -v apk >/dev/null 2>&1; then again as_root apk add -q $4
	elif command -v brew >/dev/null 2>&1; then again brew install -q $5
	else
		echo "$script: no apt-get, dnf, apk or brew to install $1 with" >&2
		return 1
	fi
}

# debian_unpack ROOT FILE unpacks into the folder ROOT, an absolute path, what FILE names: a suite
# of Debian, then packages with their versions, which bring all that they need along.
# Nothing is installed in the system, whose own Debian may be older, and no service is started.
debian_unpack() {
	root=$1
	if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg >/dev/null 2>&1; then
		echo "$script: $2 names Debian's packages, which need apt-get and dpkg" >&2
		return 1
	fi
	mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/apt/parts"
	: >"$root/apt/status"
	mirror=$(debian_mirror)
	if [ -z "$mirror" ]; then again as_root apt-get -qq update && mirror=$(debian_mirror); fi
	if [ -z "$mirror" ]; then
		echo "$script: apt-get knows no mirror of Debian" >&2
		return 1
	fi
	read -r suite <"$2"
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$mirror" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg >"$root/apt/parts/debian.sources"
	again private_apt update && tail -n +2 "$2" |
		private_apt_with install -y --download-only --no-install-recommends || return 1
	for package in "$root"/apt/archives/*.deb; do dpkg -x "$package" "$root" || return 1; done
	rm -rf "$root/apt"
}

# debian_mirror prints from where apt-get has Debian itself.
debian_mirror() {
	# shellcheck disable=SC2016 # apt-get fills these in
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian Debian //p' | head -n 1
}

# private_apt runs apt-get on the lists and packages in $root alone.
private_apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$root/apt/parts" \
		-o Dir::State="$root/apt" -o Dir::State::lists="$root/apt/lists" -o Dir::State::status="$root/apt/status" \
		-o Dir::Cache="$root/apt" -o Dir::Cache::archives="$root/apt/archives" -o APT::Sandbox::User= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@" >"$root/apt/log" 2>&1 ||
		{
			cat "$root/apt/log" >&2
			return 1
		}
}

# private_apt_with adds the lines of its input to the arguments.
private_apt_with() {
	while read -r line; do set -- "$@" "$line"; done
	again private_apt "$@"
}
