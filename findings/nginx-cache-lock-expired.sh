#!/usr/bin/env bash
# Software: nginx 1.22.1 (Debian 12: nginx 1.22.1-9+deb12u11)
# Expected: with proxy_cache_lock on, many equal requests at once make one request to the upstream.
# Seen: so it is while the answer is new: 10 requests, 1 upstream. Once the cached answer has expired the lock does nothing: 10 requests,
#   10 upstream. With proxy_cache_use_stale updating added it is 1 both times (the others get the old answer meanwhile).
# Meaning: a one-second cache in front of slurmrestd (or any slow API) does not protect it: every second the whole crowd goes
#   through together. A test with an empty cache does not show it. Set both directives.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download nginx=1.22.1-9+deb12u11 2>/dev/null
dpkg-deb -x nginx_*.deb root

cat >slow.py <<'END'
import http.server, socketserver, time

class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("asked", "a") as asked:
            asked.write(self.path + "\n")
        time.sleep(2)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words):
        pass

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 64

Server("slow.socket", Slow).serve_forever()
END
location() { # $1: path, $2: further directive
  echo "location $1 { proxy_pass http://slow; proxy_cache one; proxy_cache_valid 200 1s; proxy_cache_lock on; $2 }"
}
mkdir cache temp
cat >nginx.conf <<END
$([ "$(id -u)" != 0 ] || echo 'user root;')
pid nginx.pid;
events {}
http {
  access_log off; client_body_temp_path temp/b; fastcgi_temp_path temp/f; uwsgi_temp_path temp/u; scgi_temp_path temp/s;
  proxy_temp_path temp/p; proxy_cache_path cache keys_zone=one:1m; proxy_cache_key \$uri;
  upstream slow { server unix:$work/slow.socket; }
  server {
    listen unix:$work/front.socket;
    $(location /lock "")
    $(location /both "proxy_cache_use_stale updating;")
  }
}
END
timeout 100 python3 slow.py &
timeout 100 root/usr/sbin/nginx -p "$work" -c nginx.conf -e error.log -g 'daemon off;' &
for _ in $(seq 60); do [ ! -S front.socket ] || [ ! -S slow.socket ] || break; sleep 0.5; done

crowd() { # $1: path; prints how many of ten requests at once reach the upstream
  : >asked
  clients=()
  for _ in $(seq 10); do
    curl -s -o /dev/null --unix-socket front.socket "http://localhost$1" &
    clients+=($!)
  done
  wait "${clients[@]}"
  sleep 1.5 # the answer expires
  wc -l <asked
}
seen="lock $(crowd /lock) $(crowd /lock), both $(crowd /both) $(crowd /both)"
echo "ten requests at once, upstream requests (cache empty, cache expired): $seen"
[ "$seen" = "lock 1 10, both 1 1" ] || exit 1
