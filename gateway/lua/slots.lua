-- Places at one provider: who is in, and who waits, in order of priority and arrival, over all processes.
--
-- KEYS  1 zset of calls that are in, by when their place ends  2 zset of waiting calls, by order
--       3 zset of waiting calls, by when they count as gone
-- ARGV  1 "enter" with 2 call id  3 places  4 rank (0 high, 1 default, 2 low)  5 ms that a place is kept
--         6 ms after which a waiting call that does not ask again is gone; 0: it does not wait
--       1 "leave" with 2 call id
-- Returns 1 when the call is in, else 0.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local id = ARGV[2]

if ARGV[1] == 'leave' then
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    return 1
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
    redis.call('ZREM', KEYS[2], gone)
    redis.call('ZREM', KEYS[3], gone)
end
-- Asked again after a reply that was lost.
if redis.call('ZSCORE', KEYS[1], id) then return 1 end

local free = tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[1])
local waits = tonumber(ARGV[6])
local before
if waits > 0 then
    redis.call('ZADD', KEYS[2], 'NX', tonumber(ARGV[4]) * 1e14 + now, id)
    redis.call('ZADD', KEYS[3], now + waits, id)
    before = redis.call('ZRANK', KEYS[2], id)
else
    before = redis.call('ZCARD', KEYS[2])
end
local lives = tonumber(ARGV[5])
if before < free then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZADD', KEYS[1], now + lives, id)
    redis.call('PEXPIRE', KEYS[1], lives)
    return 1
end
redis.call('PEXPIRE', KEYS[2], lives)
redis.call('PEXPIRE', KEYS[3], lives)
return 0
