#!/usr/bin/env bash
# Software: nginx 1.22.1 (Debian 12: nginx 1.22.1-9+deb12u11)
# Expected: limit_req keyed by the user that auth_request found ($who, by auth_request_set) counts each user's requests.
# Seen: it counts nothing: 10 of 10 requests pass a limit of one a minute, without a word from nginx -t or the error log. The limit runs
#   before auth_request, the key is still empty, and requests with an empty key are not counted. The same zone in an inner server, to
#   which the outer passes the name in a header, lets 1 pass and answers 9 with 429.
# Meaning: quotas per logged-in user in front of an API want two servers (the inner one on a UNIX socket). In one server they are decoration.
set -eEu
trap 'echo "cannot run here: line $LINENO failed" >&2; exit 2' ERR

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download nginx=1.22.1-9+deb12u11 2>/dev/null
dpkg-deb -x nginx_*.deb root

mkdir temp
cat >nginx.conf <<END
$([ "$(id -u)" != 0 ] || echo 'user root;')
pid nginx.pid;
events {}
http {
  access_log off; client_body_temp_path temp/b; proxy_temp_path temp/p; fastcgi_temp_path temp/f; uwsgi_temp_path temp/u;
  scgi_temp_path temp/s; limit_req_status 429;
  limit_req_zone \$who zone=one:1m rate=1r/m;
  limit_req_zone \$http_x_who zone=two:1m rate=1r/m;
  server { # who is asking: always alice
    listen unix:$work/login.socket;
    location / { add_header X-Who alice; return 204; }
  }
  server {
    listen unix:$work/front.socket;
    auth_request /login;
    auth_request_set \$who \$upstream_http_x_who;
    location = /login { internal; proxy_pass http://unix:$work/login.socket; }
    location /one { limit_req zone=one; proxy_pass http://unix:$work/api.socket; }
    location /two { proxy_set_header X-Who \$who; proxy_pass http://unix:$work/inner.socket; }
  }
  server {
    listen unix:$work/inner.socket;
    location / { limit_req zone=two; proxy_pass http://unix:$work/api.socket; }
  }
  server {
    listen unix:$work/api.socket;
    location / { return 200 "\$http_x_who"; }
  }
}
END
nginx=(root/usr/sbin/nginx -p "$work" -c nginx.conf -e error.log)
"${nginx[@]}" -q -t
timeout 60 "${nginx[@]}" -g 'daemon off;' &
for _ in $(seq 60); do [ ! -S front.socket ] || break; sleep 0.5; done

ask() { # $1: path; prints "200 times, 429 times" of ten requests
  for _ in $(seq 10); do curl -s -o /dev/null -w '%{http_code}\n' --unix-socket front.socket "http://localhost$1"; done >codes
  echo "$(grep -c 200 codes || true) $(grep -c 429 codes || true)"
}
one=$(ask /one)
two=$(ask /two)
echo "ten requests of alice, limit one a minute; 200 and 429 in one server: $one; by an inner server: $two"
[ "$one $two" = "10 0 1 9" ] || exit 1
