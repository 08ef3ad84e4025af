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

# as_root COMMAND...
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# What apt says is for those whom it fails.
install_packages() {
	log=$(mktemp)
	if ! { as_root apt-get -q update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Dpkg::Use-Pty=0 --no-install-recommends install "$@"; } >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

need_packages() {
	if ! command -v dpkg-query >/dev/null; then
		echo "$0: no dpkg here: the packages of tests/packages are taken to be installed" >&2
		return 0
	fi
	missing=$(missing_packages "$1")
	if [ -n "$missing" ]; then
		echo "$0: installing by apt: $missing" >&2
		install_packages $missing
	fi
}
