# Sourced by run: as root everything runs as the system user shotai, from a copy of the sources that it can read.

as_shotai() {
	setpriv --reuid shotai --regid shotai --init-groups -- "$@"
}

mirror_sources() {
	local skip=(./.git ./build ./var ./tests/e2e/node_modules) list=() path
	for path in "${skip[@]}"; do list+=(-path "$path" -prune -o); done
	as_shotai mkdir -p "$1"
	tar -C "$source" "${skip[@]/#/--exclude=}" -c . | as_shotai tar -C "$1" -x --no-same-permissions
	comm -13 <(cd "$source" && find . "${list[@]}" ! -type d -print | sort) \
		<(cd "$1" && find . "${list[@]}" ! -type d -print | sort) | (cd "$1" && as_shotai xargs -r -d '\n' rm -f --)
}

short_hash() {
	local sum
	sum=$(printf '%s' "$1" | sha256sum)
	say "${sum:0:12}"
}

# become_shotai COMMAND...: this script again, with the same command, as the user shotai.
become_shotai() {
	local id state home
	id=$(short_hash "$source")
	state=/var/lib/shotai/$id
	getent passwd shotai >/dev/null ||
		useradd --system --user-group --home-dir /var/lib/shotai --no-create-home --shell /usr/sbin/nologin shotai
	install -d -m 0711 /var/lib/shotai
	install -d -m 0700 -o shotai -g shotai "$state"
	if [[ -z ${SHOTAI_HOME:-} ]]; then
		home=$state
		if [[ -L $source/var || ! -e $source/var ]]; then ln -sfnT "$home" "$source/var"; else say "The home is $home"; fi
	else
		home=$(realpath -m "$SHOTAI_HOME")
		id=$(short_hash "$home")
		mkdir -p "$home"
		[[ -e $home/shotai.env || -z $(ls -A "$home") ]] || fail "$home holds something else; choose another SHOTAI_HOME"
		chown shotai: "$home"
		as_shotai test -x "$home" || fail "the user shotai cannot reach $home; choose a SHOTAI_HOME outside private folders"
	fi
	install -d -m 0700 -o shotai -g shotai "/run/shotai-$id"
	case ${1:-serve} in
	serve | restart | tests)
		exec {mirror}>"$state.lock"
		flock "$mirror"
		mirror_sources "$state/src"
		exec {mirror}>&-
		;;
	esac
	[[ -x $state/src/run ]] || fail "there is no ShotAI in $home yet; start it with ./run"
	cd "$state"
	export HOME=$state USER=shotai SHOTAI_HOME=$home SHOTAI_SOCKETS=/run/shotai-$id
	exec setpriv --reuid shotai --regid shotai --init-groups -- "$state/src/run" "$@"
}
