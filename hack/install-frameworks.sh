#!/bin/sh
# Installs the job frameworks that the tests of their layouts drive, at pinned versions,
# into .tools/frameworks/NAME. The pins lie next to the script that drives the framework,
# in testdata/NAME of its layout. It is quick when all is there. In CI (CI=true) it fails if
# a framework cannot be had; elsewhere it says so and
# goes on, and the tests of that framework are skipped. Arguments are the frameworks to
# install; without any it installs all.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=hack/lib.sh
. hack/lib.sh
frameworks=.tools/frameworks
layouts=internal/backlog/redis/layout
missing=

# Two runs at once would take each other's files away: the second one waits.
mkdir -p "$frameworks"
exec 9>"$frameworks/lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi

# data NAME prints the folder with the pins of NAME: that of a layout of Redis, which has a package of
# its own, or of another engine.
data() {
	for folder in "$layouts"/*/testdata/"$1" internal/backlog/*/layout/testdata/"$1"; do
		if [ -d "$folder" ]; then echo "$folder"; fi
	done
}

# current NAME FILE reports whether NAME was installed from FILE as it is now.
current() { cmp -s "$(data "$1")/$2" "$frameworks/$1/installed"; }

# begin NAME makes an empty folder for NAME.
begin() {
	echo "install-frameworks: installing $1"
	rm -rf "${frameworks:?}/$1"
	mkdir -p "$frameworks/$1"
}

# finish NAME FILE notes that NAME is installed from FILE.
finish() { cp "$(data "$1")/$2" "$frameworks/$1/installed"; }

# npm_packages NAME installs what its package-lock.json pins. (npm ci wants optional
# packages of other systems in that file too, which npm itself leaves out of it.)
npm_packages() {
	if current "$1" package-lock.json; then return 0; fi
	system npm "nodejs npm" "nodejs npm" "nodejs npm" node || return 1
	begin "$1"
	cp "$(data "$1")/package.json" "$(data "$1")/package-lock.json" "$frameworks/$1/"
	(cd "$frameworks/$1" && again npm install --silent --no-save --ignore-scripts --omit=optional --no-audit --no-fund) && finish "$1" package-lock.json
}

# python_packages NAME installs what its requirements.txt pins, which is everything, into a venv.
python_packages() {
	if current "$1" requirements.txt; then return 0; fi
	system python3 "python3 python3-venv" python3 python3 python3 || return 1
	begin "$1"
	python3 -m venv "$frameworks/$1/venv" || return 1
	again "$frameworks/$1/venv/bin/pip" install -q --disable-pip-version-check --no-deps -r "$(data "$1")/requirements.txt" ||
		return 1
	finish "$1" requirements.txt
}

# go_program NAME [VERSION] builds the driver, a Go module of its own, with what go.mod pins or
# go-VERSION.mod next to it.
go_program() {
	name=$1${2:+-$2}
	mkdir -p "$frameworks/$name"
	(cd "$(data "$1")" && again go build -modfile="go${2:+-$2}.mod" -o "$OLDPWD/$frameworks/$name/driver" .)
}

# debian_root NAME unpacks what its file packages names. "run PROGRAM" in that folder runs one of
# their programs with their own libraries.
debian_root() {
	if current "$1" packages; then return 0; fi
	begin "$1"
	root=$(cd "$frameworks/$1" && pwd)
	debian_unpack "$root" "$(data "$1")/packages" || return 1
	# PHP's packages find each other by where they would be installed.
	if [ -d "$root/usr/share/php" ]; then
		find "$root/usr/share/php" -name autoload.php -exec sed -i "s|'/usr/share/php/|getenv('FRAMEWORK_ROOT').&|g" {} +
	fi
	cp "$layouts/layouttest/testdata/debian-run" "$root/run"
	finish "$1" packages
}

# install NAME installs one framework. Each has its line here, and its name in "all".
all="bull-3 bull-4 bullmq-1 bullmq-3 bullmq-4 bullmq-5 bullmq-6 beequeue asynq sidekiq-6 sidekiq-7 sidekiq-8 laravel-10 laravel-13 resque celery rq-1 rq-2 rq dramatiq arq taskiq river river-0.25 pg-boss pg-boss-10 pg-boss-11 graphile-worker graphile-worker-0.16 bullmq-pg bullmq-pg-6.0 procrastinate procrastinate-2 pgmq pgmq-1.11 laravel-mysql laravel-mysql-10"
install() {
	case "$1" in
	bull-3 | bull-4 | bullmq-1 | bullmq-3 | bullmq-4 | bullmq-5 | bullmq-6 | beequeue | resque | pg-boss | pg-boss-1? | graphile-worker | graphile-worker-* | bullmq-pg | bullmq-pg-*) npm_packages "$1" ;;
	asynq | river) go_program "$1" ;;
	river-*) go_program river "${1#river-}" ;;
	sidekiq-6 | sidekiq-7 | sidekiq-8 | laravel-10 | laravel-13 | laravel-mysql | laravel-mysql-10) debian_root "$1" ;;
	celery | rq-1 | rq-2 | rq | dramatiq | arq | taskiq | procrastinate | procrastinate-2 | pgmq | pgmq-1.11) python_packages "$1" ;;
	*)
		echo "install-frameworks: there is no framework $1, only: $all" >&2
		return 1
		;;
	esac
}

# shellcheck disable=SC2048 # names are words
for name in ${*:-$all}; do
	if ! install "$name"; then
		echo "install-frameworks: $name is not to be had here" >&2
		missing="$missing $name"
	fi
done

if [ -n "$missing" ]; then
	echo "install-frameworks: missing:$missing" >&2
	if [ "${CI:-}" = true ]; then exit 1; fi
fi
