-- For wrk, in a REST node: headers of one user from a file, and what was counted as one JSON object (see gateway.py).
for line in io.lines("/run/load_headers") do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

function done(summary, latency, _)
  local wrong = summary.errors
  local failures = wrong.status + wrong.connect + wrong.read + wrong.write + wrong.timeout
  local form = '{"requests": %d, "failures": %d, "seconds": %.3f, "p50": %.2f, "p99": %.2f}\n'
  io.write("\n", string.format(form, summary.requests - wrong.status, failures, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
