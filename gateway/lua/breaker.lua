-- The circuit breaker of one provider and model, shared by all processes.
--
-- KEYS  1 hash: w window number, f and s failures and successes in it, pf and ps in the one before, o open until (ms),
--         c cooldown (ms), p a probe is under way until (ms)
-- ARGV  1 "fail" with 2 successes since the last report  3 window ms  4 failures to open  5 share of failures to open
--         6 first cooldown ms  7 longest cooldown ms
--       1 "probe" with 2 ms that a probe may take          1 "close"
-- Returns {1 or 0, ms}: fail: 1 if this opened it, and how long it stays open (0: closed)
--                       probe: 1 if the caller may try, else how long to wait
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local open_until = tonumber(redis.call('HGET', KEYS[1], 'o') or 0)

if ARGV[1] == 'close' then
    redis.call('DEL', KEYS[1])
    return { 1, 0 }
end

if ARGV[1] == 'probe' then
    if open_until == 0 then return { 1, 0 } end
    if now < open_until then return { 0, open_until - now } end
    local probing_until = tonumber(redis.call('HGET', KEYS[1], 'p') or 0)
    if now < probing_until then return { 0, probing_until - now } end
    redis.call('HSET', KEYS[1], 'p', now + tonumber(ARGV[2]))
    return { 1, 0 }
end

local function open(cooldown)
    redis.call('HSET', KEYS[1], 'o', now + cooldown, 'c', cooldown)
    redis.call('HDEL', KEYS[1], 'p', 'f', 's', 'pf', 'ps')
    redis.call('PEXPIRE', KEYS[1], cooldown + 600000)
    return { 1, cooldown }
end

if open_until > 0 then
    -- Calls that were under way when it opened say nothing new; a failed probe does.
    if now < open_until then return { 0, open_until - now } end
    return open(math.min(2 * tonumber(redis.call('HGET', KEYS[1], 'c') or ARGV[6]), tonumber(ARGV[7])))
end

local window = math.floor(now / tonumber(ARGV[3]))
local f = redis.call('HMGET', KEYS[1], 'w', 'f', 's', 'pf', 'ps')
for i = 1, 5 do f[i] = tonumber(f[i] or 0) end
if f[1] == window - 1 then
    f[2], f[3], f[4], f[5] = 0, 0, f[2], f[3]
elseif f[1] ~= window then
    f[2], f[3], f[4], f[5] = 0, 0, 0, 0
end
f[2], f[3] = f[2] + 1, f[3] + tonumber(ARGV[2])
local failures, successes = f[2] + f[4], f[3] + f[5]
if failures >= tonumber(ARGV[4]) and failures >= tonumber(ARGV[5]) * (failures + successes) then
    return open(tonumber(ARGV[6]))
end
redis.call('HSET', KEYS[1], 'w', window, 'f', f[2], 's', f[3], 'pf', f[4], 'ps', f[5])
redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[3]))
return { 0, 0 }
