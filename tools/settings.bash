# Sourced by run: the home, its settings, and what is built and copied into it.

# Folder of the unix sockets: short, since a socket's path holds 107 bytes, and closed to others.
make_sockets() {
	local id=$home
	[[ $home != "$source/var" ]] || id=$source
	sockets=${SHOTAI_SOCKETS:-/tmp/shotai-$EUID-$(short_hash "$id")}
	[[ -d $sockets ]] || mkdir -m 0700 "$sockets"
	[[ -O $sockets && ! -L $sockets ]] || fail "$sockets belongs to somebody else"
	chmod 0700 "$sockets"
	ln -sfnT "$sockets" "$home/sockets"
}

random() {
	head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# What a new home starts with: our stand-ins instead of Supabase, Creem and a model provider. All callers of a local run
# have one address, so nginx's limits per address are wide.
standard_settings() {
	local url=http://127.0.0.1:$port database="postgresql:///shotai?host=$sockets&user="
	cat <<TEXT
PUBLIC_URL=$url
SECRET_KEY=$(random 32)
DATABASE_URL=${database}shotai_web
DATABASE_WEBHOOK_URL=${database}shotai_webhook
DATABASE_WORKER_URL=${database}shotai_worker
DATABASE_OPERATOR_URL=${database}shotai_operator
DATABASE_ADMIN_URL=${database}postgres
SUPABASE_URL=$url
SUPABASE_ANON_KEY=sb_publishable_$(random 16)
SUPABASE_SECRET_KEY=sb_secret_$(random 24)
STORAGE=file:$home/storage
OPENAI_BASE_URL=$url/sandbox/openai/v1
OPENAI_API_KEY=sandbox-$(random 16)
PROVIDER_TIMEOUT_SECONDS=20
MAIL_DIRECTORY=$home/mail
SPOOL_DIRECTORY=$home/spool
MAIL_FROM=receipts@shotai.example
CREEM_API_URL=$url/sandbox/creem
CREEM_API_KEY=creem_test_sandbox_$(random 16)
CREEM_WEBHOOK_SECRET=whsec_$(random 16)
SANDBOX_DATABASE_URL=${database}supabase_auth_admin
SANDBOX_CREEM_DATABASE_URL=${database}sandbox_creem
SANDBOX_KEY_FILE=$home/sandbox-key.pem
NGINX_RATE=10000
NGINX_BURST=10000
NGINX_SIGN_IN_RATE=100
NGINX_SIGN_IN_BURST=1000
NGINX_REPORT_RATE=6000
NGINX_REPORT_BURST=1000
NGINX_ERASURE_RATE=6000
NGINX_ERASURE_BURST=1000
NGINX_UPLOAD_RATE=60000
NGINX_UPLOAD_BURST=5000
NGINX_UPLOAD_CONNECTIONS=500
TEXT
}

declare -A setting=()

# Reads NAME=value lines (standard input) into `setting`, where a name is not there yet.
read_settings() {
	local line name value
	while IFS= read -r line || [[ -n $line ]]; do
		[[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]] || continue
		name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		[[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
		[[ -n ${setting[$name]+set} ]] || setting[$name]=$value
	done
}

export_settings() {
	local name
	for name in "${!setting[@]}"; do export "$name=${setting[$name]}"; done
}

load_settings() {
	[[ -r $home/shotai.env ]] || fail "there is no ShotAI in $home yet; start it with ./run"
	local name
	read_settings <"$home/shotai.env"
	for name in "${!setting[@]}"; do setting[$name]=${!name:-${setting[$name]}}; done
	export_settings
}

# The environment goes before the file, the file before the standard; what an earlier start wrote about its port and
# folders follows them when they moved. The file then says what is in force, and is otherwise left as it was.
make_settings() {
	local file=$home/shotai.env line name old now where="# home=$home sockets=$sockets port=$port"
	local -A written=()
	touch "$file" && chmod 0600 "$file"
	read_settings <"$file"
	if old=$(grep -m1 '^# home=' "$file") && [[ $old != "$where" && $old =~ ^'# home='(.*)' sockets='(.*)' port='([0-9]+)$ ]]; then
		for name in "${!setting[@]}"; do
			now=${setting[$name]/"${BASH_REMATCH[1]}/"/"$home/"}
			now=${now/"${BASH_REMATCH[2]}&"/"$sockets&"}
			setting[$name]=${now/#"http://127.0.0.1:${BASH_REMATCH[3]}"/"http://127.0.0.1:$port"}
		done
	fi
	read_settings < <(standard_settings)
	for name in "${!setting[@]}"; do setting[$name]=${!name:-${setting[$name]}}; done
	# A real key alone is enough to leave the stand-in.
	if [[ ${setting[OPENAI_API_KEY]} != sandbox-* && ${setting[OPENAI_BASE_URL]} == */sandbox/openai/v1 ]]; then
		setting[OPENAI_BASE_URL]=https://api.openai.com/v1
	fi
	if [[ ${setting[CREEM_API_URL]} == */sandbox/creem ]]; then
		case ${setting[CREEM_API_KEY]} in
		creem_test_sandbox_*) ;;
		creem_test_*) setting[CREEM_API_URL]=https://test-api.creem.io ;;
		*) setting[CREEM_API_URL]=https://api.creem.io ;;
		esac
	fi
	{
		say "$where"
		while IFS= read -r line || [[ -n $line ]]; do
			[[ $line != '# home='* ]] || continue
			if [[ $line =~ ^([A-Z][A-Z0-9_]*)= ]]; then
				name=${BASH_REMATCH[1]}
				written[$name]=1
				line=$name=${setting[$name]}
			fi
			say "$line"
		done <"$file"
		while IFS= read -r line; do
			name=${line%%=*}
			[[ -n ${written[$name]:-} ]] || say "$name=${setting[$name]}"
		done < <(standard_settings)
	} >"$file.new"
	chmod 0600 "$file.new"
	mv "$file.new" "$file"
	export_settings
}

# Settings that have a default in the programs are written down, too.
add_default_settings() {
	local line name
	while IFS= read -r line; do
		[[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ && $line != *'***'* && -n ${BASH_REMATCH[2]} ]] || continue
		name=${BASH_REMATCH[1]}
		[[ -n ${setting[$name]+set} ]] || say "$line" >>"$home/shotai.env"
	done < <("$home/bin/shotaictl" config)
}

build() {
	local folder=$source/build/$preset
	mkdir -p "$folder"
	if [[ -e $folder/stamp && -z $(find "$source"/{CMakeLists.txt,CMakePresets.json,lib,bin,cgi-bin,sandbox} -newer "$folder/stamp" -print -quit) ]]; then
		return
	fi
	exec {lock}>"$source/build/lock"
	flock "$lock"
	touch "$folder/stamp.new"
	[[ -e $folder/build.ninja ]] || cmake -S "$source" --preset "$preset" >"$folder/configure.log" || {
		cat "$folder/configure.log" >&2
		fail "the build cannot be configured"
	}
	ninja -C "$folder" --quiet || fail "the build failed"
	mv "$folder/stamp.new" "$folder/stamp"
	exec {lock}>&-
}

# Copies binaries into the home by rename, so that neither a build nor a copy disturbs what runs.
install_binary() {
	local from=$source/build/$preset/$1 to=$home/$1
	cmp -s "$from" "$to" && return
	mkdir -p "${to%/*}"
	cp "$from" "$to.new"
	mv "$to.new" "$to"
}

# The pages are a link that is changed in one step.
install_web() {
	local old fresh
	old=$(readlink "$home/web" || true)
	fresh=$(mktemp -d "$home/web.XXXXXX")
	cp -a "$source/web/." "$fresh"
	chmod 0755 "$fresh"
	ln -sfn "${fresh##*/}" "$home/web.link"
	[[ -L $home/web ]] || rm -rf "$home/web"
	mv -T "$home/web.link" "$home/web"
	[[ -z $old ]] || rm -rf "${home:?}/$old"
}

folder_of() {
	case $1 in
	worker | shotaictl) say bin ;;
	auth | creem | models) say sandbox ;;
	*) say cgi-bin ;;
	esac
}

render_nginx() {
	NGINX_LISTEN=127.0.0.1:$port NGINX_SOCKETS=$sockets NGINX_WEB=$home/web "$source/nginx/render" "$home/nginx"
}
