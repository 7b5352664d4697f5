-- Asks several buckets for one request each. Either all of them let it pass and count it, or none counts it.
-- A bucket is one number: the moment, in microseconds of this server's clock, until which what it let pass is paid for.
-- KEYS: the buckets. ARGV: for each, the microseconds that one request costs, and how far ahead a burst may run.
-- Returns, for each, the microseconds to wait before it lets the request pass, and how far ahead it stands.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paid, waits, refused = {}, {}, false
for i, key in ipairs(KEYS) do
    paid[i] = math.max(tonumber(redis.call('GET', key) or now), now)
    waits[i] = math.max(0, paid[i] + ARGV[2 * i - 1] - ARGV[2 * i] - now)
    refused = refused or waits[i] > 0
end
local answer = {}
for i, key in ipairs(KEYS) do
    if not refused then
        paid[i] = paid[i] + ARGV[2 * i - 1]
        redis.call('SET', key, string.format('%.0f', paid[i]), 'PX', math.ceil((paid[i] - now) / 1000))
    end
    answer[2 * i - 1] = waits[i]
    answer[2 * i] = paid[i] - now
end
return answer
