# Sourced by run: PostgreSQL, the programs and nginx as one process group each, supervised, dying with run.

postgres_bin() {
	find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -name postgres -printf '%h\n' | sort -V | tail -n 1
}

superuser_sql() {
	psql -X -q -v ON_ERROR_STOP=1 -h "$sockets" -U supabase_admin -d "${1:-shotai}"
}

make_cluster() {
	[[ ! -e $home/postgres ]] || return 0
	say "Making a database in $home/postgres"
	rm -rf "$home/postgres.new"
	"$(postgres_bin)/initdb" -D "$home/postgres.new" -U supabase_admin -A trust -E UTF8 --locale=C.UTF-8 \
		>"$home/log/initdb.log" 2>&1 || { cat "$home/log/initdb.log" >&2; fail "initdb failed"; }
	mv "$home/postgres.new" "$home/postgres"
}

prepare_database() {
	local try name
	for ((try = 0; try < 300; try++)); do
		alive postgres || break
		superuser_sql postgres <<<'' 2>/dev/null && break
		sleep 0.1
	done
	superuser_sql postgres <<-'SQL'
		set client_min_messages = warning;
		select 'create role postgres login createrole createdb' where to_regrole('postgres') is null \gexec
		select 'create database shotai owner postgres' where not exists (select from pg_database where datname = 'shotai') \gexec
	SQL
	for name in "${stand_ins[@]}"; do prepare_stand_in "$name"; done
}

# The schema of a stand-in: sandbox/NAME.sql and what is beside its program.
prepare_stand_in() {
	local file=$source/sandbox/$1.sql
	[[ -e $file ]] || return 0
	cat "$file" $(find "$source/sandbox/$1" -name '*.sql' | sort) | superuser_sql >"$home/log/$1.sql.log" 2>&1 || {
		cat "$home/log/$1.sql.log" >&2
		fail "$file failed"
	}
}

# Those whose services are not the real ones.
list_stand_ins() {
	stand_ins=(models)
	[[ ${setting[SUPABASE_URL]} != "${setting[PUBLIC_URL]}" ]] || stand_ins+=(auth)
	[[ ${setting[CREEM_API_URL]} != "${setting[PUBLIC_URL]}/"* ]] || stand_ins+=(creem)
}

has_local_database() {
	[[ ${setting[DATABASE_ADMIN_URL]} == *"$sockets&"* ]]
}

# ----

declare -A pid_of=() name_of=() started=() delay=()

# When a process started: with its pid that names it for good. A zombie does not count.
start_time() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra stat <<<"${stat##*) }"
	[[ ${stat[0]} != Z ]] && say "${stat[19]}"
}

command_of() {
	local name=$1
	signal=TERM
	case $name in
	postgres)
		signal=INT
		command=("$(postgres_bin)/postgres" -D "$home/postgres" -k "$sockets")
		local option
		# Nothing personal in the log: no parameters, no DETAIL of constraints, no statement text, no addresses.
		for option in listen_addresses= max_connections=$((100 + 16 * $(nproc))) jit=off timezone=UTC \
			log_parameter_max_length=0 log_parameter_max_length_on_error=0 log_error_verbosity=terse \
			log_min_error_statement=panic logging_collector=off log_line_prefix='%m [%p] %q%u '; do
			command+=(-c "$option")
		done
		;;
	nginx) command=("$(type -P nginx || say /usr/sbin/nginx)" -p "$home/nginx" -c "$home/nginx/nginx.conf" -e stderr) ;;
	worker) command=("$home/bin/worker") ;;
	*) command=("$home/$(folder_of "$name")/$name" --socket "$sockets/$name.sock") ;;
	esac
}

start() {
	local name=$1 command signal
	command_of "$name"
	setsid setpriv --pdeathsig "$signal" -- "${command[@]}" </dev/null >>"$home/log/$name.log" 2>&1 {home_lock}>&- &
	pid_of[$name]=$!
	name_of[$!]=$name
	started[$name]=$SECONDS
	say "$! $(start_time $!)" >"$home/pids/$name"
}

alive() {
	[[ -n ${pid_of[$1]:-} ]] && start_time "${pid_of[$1]}" >/dev/null
}

# A service ended by itself: what is left of it goes, and it comes back, after a growing pause when it does so often.
ended() {
	local name=$1 pid=$2 status=$3
	unset "pid_of[$name]"
	kill -KILL -- "-$pid" 2>/dev/null || true
	if ((SECONDS - started[$name] >= 5)); then delay[$name]=0.1; fi
	say "$name ended with status $status; starting it again in ${delay[$name]:=0.1} s"
	sleep "${delay[$name]}" {home_lock}>&- &
	name_of[$!]="later $name"
	case ${delay[$name]} in
	0.1) delay[$name]=0.5 ;;
	*) delay[$name]=2 ;;
	esac
}

supervise() {
	local pid status name
	while ((!stopping)); do
		status=0 pid=
		wait -n -p pid 2>/dev/null || status=$?
		[[ -n ${pid:-} ]] || continue
		name=${name_of[$pid]:-}
		unset "name_of[$pid]"
		case $name in
		'') ;;
		later\ *) start "${name#later }" ;;
		*) ended "$name" "$pid" "$status" ;;
		esac
	done
}

# Ends services by name and waits for them; patience in seconds, then they are killed.
end_services() {
	local patience=$1 name signal command try
	shift
	for name in "$@"; do
		alive "$name" || continue
		command_of "$name"
		kill "-$signal" "${pid_of[$name]}" 2>/dev/null || true
	done
	for name in "$@"; do
		[[ -n ${pid_of[$name]:-} ]] || continue
		for ((try = 0; try < patience * 20; try++)); do
			alive "$name" || break
			sleep 0.05 || break
		done
		kill -KILL -- "-${pid_of[$name]}" 2>/dev/null || true
		wait "${pid_of[$name]}" 2>/dev/null || true
		rm -f "$home/pids/$name"
	done
}

stop_all() {
	local status=$?
	trap - EXIT
	# A second signal gives up the pictures in hand.
	trap 'kill -TERM "${pid_of[worker]:-x}" 2>/dev/null || true' INT TERM HUP
	say "Stopping"
	end_services $((${setting[PROVIDER_TIMEOUT_SECONDS]:-20} + 20)) worker
	end_services 10 nginx "${programs[@]}"
	end_services 10 "${sandbox[@]}"
	end_services 60 postgres
	rm -rf "$home/pids/run" "$sockets" 2>/dev/null || true # in /run only root may remove it
	((stopping)) && status=0
	exit "$status"
}

# What an earlier ./run left behind when it was killed: the same pid with the same start time is the same process.
sweep() {
	local file pid since name signal command
	for file in "$home"/pids/*; do
		name=${file##*/}
		[[ -e $file && $name != run ]] || continue
		read -r pid since <"$file" || true
		if [[ -n $pid && $(start_time "$pid") == "$since" ]]; then
			pid_of[$name]=$pid
		fi
	done
	((${#pid_of[@]} == 0)) || say "Ending what an earlier run left: ${!pid_of[*]}"
	end_services 10 worker nginx "${programs[@]}" "${sandbox[@]}"
	end_services 60 postgres
	pid_of=()
	rm -f "$home"/pids/* "$sockets"/* "$sockets"/.s.*
	# No PostgreSQL of this folder is left, so its pid now means another process.
	rm -f "$home/postgres/postmaster.pid"
}

port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

status_of() {
	local status
	exec {connection}<>"/dev/tcp/127.0.0.1/$port" || return
	printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$1" >&"$connection"
	read -r _ status _ <&"$connection" || true
	exec {connection}>&-
	[[ $status == 200 ]]
}

await_health() {
	local name try
	for name in "${programs[@]}" "$@"; do
		for ((try = 0; try < 600; try++)); do
			status_of "/healthz/$name" 2>/dev/null && continue 2
			alive "$name" || break
			sleep 0.05
		done
		tail -n 5 "$home/log/$name.log" >&2
		fail "$name does not start; see $home/log/$name.log"
	done
}

serve() {
	[[ $port =~ ^[1-9][0-9]{0,4}$ ]] && ((port < 65536)) || fail "SHOTAI_PORT is not a port: $port"
	"$source/tools/packages" run
	PATH=$PATH:/usr/sbin
	mkdir -p "$home" 2>/dev/null || [[ -d $home ]] || fail "$home cannot be made; set SHOTAI_HOME"
	[[ -O $home ]] || fail "$home belongs to $(stat -L -c %U "$home"); run as that user or set SHOTAI_HOME"
	chmod 0700 "$home"
	exec {home_lock}>>"$home/lock"
	flock -n "$home_lock" || fail "another ./run (process $(cut -d' ' -f1 "$home/pids/run" 2>/dev/null)) owns $home; stop it or set SHOTAI_HOME"
	mkdir -p "$home"/{log,pids,storage,nginx}
	find "$home/log" -name '*.log' -size +16M -exec mv {} {}.old \;
	make_sockets
	sweep
	! port_taken || fail "port $port is taken by another program; choose one with SHOTAI_PORT=NUMBER ./run"
	say "$$ $(start_time $$) $port $preset $sockets" >"$home/pids/run"

	build
	local name stand_ins
	for name in shotaictl worker "${programs[@]}" "${sandbox[@]}"; do install_binary "$(folder_of "$name")/$name"; done
	install_web
	make_settings
	add_default_settings
	list_stand_ins
	render_nginx

	stopping=0
	trap stop_all EXIT
	trap 'stopping=1; exit' INT TERM HUP
	if has_local_database; then
		make_cluster
		start postgres
		prepare_database
	fi
	(cd "$source" && "$home/bin/shotaictl" migrate >"$home/log/migrate.log" 2>&1) || {
		cat "$home/log/migrate.log" >&2
		fail "the database could not be migrated"
	}
	for name in "${stand_ins[@]}" "${programs[@]}" worker nginx; do start "$name"; done
	await_health
	alive worker || fail "the worker does not start; see $home/log/worker.log"
	say "ShotAI is ready at ${setting[PUBLIC_URL]}"
	trap 'stopping=1' INT TERM HUP
	supervise
}
