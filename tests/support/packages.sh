# need_packages quickstart|tests: install by apt what is missing of tests/packages, and say so.
# To be sourced by a script that has set $root, the top of the tree.

missing_packages() {
	packages=$(case $1 in
	quickstart) sed '/^# tests only/q' "$root/tests/packages" ;;
	*) cat "$root/tests/packages" ;;
	esac | sed '/^#/d; /^$/d')
	for package in $packages; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

need_packages() {
	if ! command -v dpkg-query >/dev/null; then
		echo "$0: no dpkg here: the packages of tests/packages are taken to be installed" >&2
		return 0
	fi
	missing=$(missing_packages "$1")
	if [ -z "$missing" ]; then
		return 0
	fi
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		sudo=sudo
	fi
	echo "$0: installing by apt: $missing" >&2
	# Only the programs of PostgreSQL are wanted: no cluster of the system, no service.
	no_cluster=/etc/postgresql-common/createcluster.d/orderd-tests.conf
	$sudo mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | $sudo tee "$no_cluster" >/dev/null
	installed=0
	{ $sudo apt-get -qq update && $sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y --no-install-recommends install $missing; } >&2 || installed=$?
	$sudo rm -f "$no_cluster"
	return $installed
}
