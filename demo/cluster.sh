#!/bin/sh
# cluster.sh [BUILD [PORT]]: a cluster on this machine, to try out; see libwebsock_cluster(7). Three
# nodes of websock-demo share a Redis server, and nginx is in front of them on 127.0.0.1:PORT. What
# has ended starts again after 2 seconds. SIGINT (Ctrl-C) and SIGTERM end everything.
set -eu

build=${1:-build} port=${2:-8080}
# Debian's nginx is outside users' PATH; or it is, like redis-server, where deps.sh has put it.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:$(dirname "$0")/../build

dir=$(mktemp -d "${TMPDIR:-/tmp}/websock-cluster.XXXXXX")
chmod 711 "$dir" # a root nginx has workers that are not root
mkdir -m 700 "$dir/redis"
pids=

# The front first, so that no client is sent to a node that is ending; Redis last, so that it gets
# what the nodes still have. For that order each has a session of its own: Ctrl-C is for us.
# shellcheck disable=SC2317 # the trap calls it
stop()
{
    trap '' INT TERM HUP
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" || true
    done
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

fail() # NAME WHAT
{
    echo "cluster.sh: $1 $2. Its log ends with:" >&2
    tail -n 20 "$dir/$1.log" >&2 || true
    exit 1
}

wait_for() # NAME TEST...: until the test succeeds, for 10 seconds at most
{
    name=$1 left=200
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "$name" "has not started"
        sleep 0.05
    done
}

# One child at a time, the program or the pause: $! is the one to end.
end_child_when_told() { trap 'kill "$!" 2>/dev/null; wait "$!"; exit 0' TERM; }

pause_s=2

# Written before each answer, so that no message is lost when Redis is killed. "everysec" may put
# that off for up to two seconds while the disk is busy.
keep_redis()
{
    end_child_when_told
    while :; do
        setsid redis-server --port 0 --unixsocket "$dir/redis/socket" --unixsocketperm 700 \
            --dir "$dir/redis" --save '' --appendonly yes --appendfsync always \
            --maxmemory-policy noeviction \
            >>"$dir/redis.log" 2>&1 &
        wait "$!" || true
        sleep "$pause_s" &
        wait "$!" || true
    done
}

port_of() { sed -n 's|.*:\([0-9]*\)/$|\1|p' "$dir/$1.url"; }

# A free port at first, and the same one from then on.
keep_node() # NAME
{
    end_child_when_told
    node_port=
    while :; do
        setsid "$build/demo/websock-demo" --node "$1" --redis "unix:$dir/redis/socket" \
            --port "${node_port:-0}" >"$dir/$1.url" 2>>"$dir/$1.log" &
        wait "$!" || true
        node_port=${node_port:-$(port_of "$1")}
        sleep "$pause_s" &
        wait "$!" || true
    done
}

# A connection that a node refuses goes to another one. Why max_fails is 0: libwebsock_cluster(7).
write_front() # PORT_OF_A PORT_OF_B PORT_OF_C
{
    cat >"$dir/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;

    upstream nodes {
        server 127.0.0.1:$1 max_fails=0;
        server 127.0.0.1:$2 max_fails=0;
        server 127.0.0.1:$3 max_fails=0;
    }
    # /node/end?node=NAME is for that node.
    map \$arg_node \$node {
        a 127.0.0.1:$1;
        b 127.0.0.1:$2;
        c 127.0.0.1:$3;
    }
    map \$http_upgrade \$connection_upgrade {
        default upgrade;
        ''      close;
    }

    server {
        listen 127.0.0.1:$port;
        proxy_http_version 1.1;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
        proxy_set_header Host \$http_host;
        proxy_connect_timeout 2s;
        proxy_read_timeout 120s;

        location / {
            proxy_pass http://nodes;
        }
        # A node that has ended cannot answer.
        location = /node/end {
            proxy_pass http://\$node;
            error_page 502 =204 @ended;
        }
        location @ended {
            return 204;
        }
    }
}
END
}

keep_redis 2>>"$dir/redis.log" &
pids=$!
wait_for redis test -S "$dir/redis/socket"
for name in a b c; do
    keep_node "$name" 2>>"$dir/$name.log" &
    pids="$! $pids"
done
for name in a b c; do
    wait_for "$name" test -s "$dir/$name.url"
done
write_front "$(port_of a)" "$(port_of b)" "$(port_of c)"
setsid nginx -p "$dir" -e stderr -c "$dir/nginx.conf" >>"$dir/nginx.log" 2>&1 &
front=$!
pids="$front $pids"
front_listens()
{
    kill -0 "$front" 2>/dev/null || fail nginx "has ended (is port $port taken? PORT=9000 is another)"
    test -s "$dir/nginx.pid"
}
wait_for nginx front_listens
echo "cluster.sh: open http://127.0.0.1:$port/ (logs: $dir/*.log; Ctrl-C ends it)"
wait "$front" || true
fail nginx "has ended"
