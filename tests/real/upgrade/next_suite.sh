# Package sources of the next suite, as an admin writes them: next_suite.sh OLD NEW
set -e
sources=$(grep -rlw "$1" /etc/apt/sources.list /etc/apt/sources.list.d)
sed -i -e "/$1-/d" -e "s/\\b$1\\b/$2/g" $sources
# The tests take an index that lags behind as it is.
echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99upgrade
