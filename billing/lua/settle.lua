-- One call has ended: gives its hold back, adds what it really used, appends its usage event, stores its answer.
-- Safe to repeat: the marker in KEYS[5] is set with the rest or not at all.
--
-- KEYS  1 quota hash of the period  2 holds of the period  3 rates  4 usage stream  5 marker
--         then, each optional: exact entry, answer to an Idempotency-Key
-- ARGV  1 account, as in admit.lua  2 call: id, h tokens held or -1 when nothing was, r requests, t tokens, l seconds
--       that the answer is kept in the exact cache, i those for who repeats the request, o its outcome
--       3 the usage event, or empty  4 the answer's description  5 the answer
-- Returns 1, or 0 when it was settled before.
local account, call = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
if not redis.call('SET', KEYS[5], '1', 'NX', 'EX', 900) then
    return 0
end
local key = 'k' .. account.k .. ':'
local WINDOW_S = 60

-- Without its hash the period is seeded from the ledger, where this event arrives too.
local counted = redis.call('EXISTS', KEYS[1]) == 1
if call.h >= 0 and redis.call('ZREM', KEYS[2], call.id .. '|1|' .. call.h .. '|' .. account.k) == 1 and counted then
    for _, scope in ipairs({ '', key }) do
        redis.call('HINCRBY', KEYS[1], scope .. 'hr', -1)
        redis.call('HINCRBY', KEYS[1], scope .. 'ht', -call.h)
    end
end
if counted then
    for _, scope in ipairs({ '', key }) do
        redis.call('HINCRBY', KEYS[1], scope .. 'r', call.r)
        redis.call('HINCRBY', KEYS[1], scope .. 't', call.t)
    end
end

-- The minute was charged with the hold; what was not used goes back, if it is still that minute.
if call.h >= 0 then
    local index = math.floor(tonumber(redis.call('TIME')[1]) / WINDOW_S)
    for _, scope in ipairs({ '', key }) do
        local rate = redis.call('HMGET', KEYS[3], scope .. 'w', scope .. 'ct')
        if rate[1] and tonumber(rate[1]) == index then
            redis.call('HSET', KEYS[3], scope .. 'ct', math.max(0, tonumber(rate[2]) + call.t - call.h))
        end
    end
end

if ARGV[3] ~= '' then
    redis.call('XADD', KEYS[4], '*', 'e', ARGV[3])
end
-- Without the answer when it waited in a file while Redis was away; never in the place of one that people have pinned.
if call.l and ARGV[5] and redis.call('HEXISTS', KEYS[6], 'p') == 0 then
    redis.call('HSET', KEYS[6], 'm', ARGV[4], 'b', ARGV[5])
    redis.call('EXPIRE', KEYS[6], call.l)
end
if call.i and ARGV[5] then
    redis.call('HSET', KEYS[#KEYS], 'm', ARGV[4], 'b', ARGV[5], 'c', call.o)
    redis.call('EXPIRE', KEYS[#KEYS], call.i)
end
return 1
