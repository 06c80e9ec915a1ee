-- One call has ended: gives its hold back, adds what it really used, appends its usage event, stores its answer.
-- Safe to repeat: the marker in KEYS[7] is set with the rest or not at all.
--
-- KEYS  1 quota hash of the period  2 holds of the period  3 rates  4 usage stream  5, 6 in flight: tenant's, key's
--       7 marker; then, each optional: exact entry, answer to an Idempotency-Key
-- ARGV  1 account, as in admit.lua  2 call: id, h tokens held or -1 when nobody knows of any (Redis may have held some, and
--       its reply was lost), m units held, d its day, r requests, t tokens, c units that it cost (text), l seconds that the answer is kept in the exact cache, i those for who
--       repeats the request, o its outcome, late when the period's counters are gone for good, old when the marker
--       may be: then nothing is counted but what has its hold still, u when the call was not let in after all
--       3 the usage event, or empty  4 the answer's description  5 the answer
-- Returns 1, 0 when it was settled before, or -1 when the period has no counters yet.
local account, call = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local key = 'k' .. account.k .. ':'
local f = redis.call('HMGET', KEYS[1], 'r', 't', 'hr', 'ht', 'hc', 'D', 'dhc', key .. 'r', key .. 't', key .. 'hr',
    key .. 'ht', key .. 'hc', key .. 'D', key .. 'dhc', 'c')
-- What is in the stream is in the counters: a seed from the ledger would lack it.
if not f[1] and not call.late and not call.old then
    return -1
end
if not redis.call('SET', KEYS[7], '1', 'NX', 'EX', 900) then
    -- An exact hit that was counted, and whose reply came too late: another answer was given. Where that cost nothing,
    -- the hit is its record; else there are two.
    local is_hit = redis.call('GET', KEYS[7]) == 'hit'
    redis.call('SET', KEYS[7], '1', 'EX', 900)
    if not is_hit or (call.t == 0 and call.c == '0') then
        return 0
    end
end
local fields, day = {}, string.format('%.0f', call.d)
local held, cost = call.h, call.m
local held_at = false
local member = string.format('%s|1|%.0f|%.0f|%.0f|%s', call.id, held, account.k, cost, day)
if held < 0 then
    for _, one in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
        local id, tokens, units = one:match('^([^|]*)|1|(%d+)|%d+|(%d+)|')
        if id == call.id then
            member, held, cost = one, tonumber(tokens), tonumber(units)
            break
        end
    end
end
if held >= 0 then
    held_at = redis.call('ZSCORE', KEYS[2], member)
    if held_at then
        redis.call('ZREM', KEYS[2], member)
    end
    for _, limit in ipairs(account.n) do redis.call('ZREM', KEYS[limit.k and 6 or 5], call.id) end
end
-- A hold is given back with the count: where there is one, this is the first time.
if f[1] and (held_at or not call.old) then
    for at, scope in pairs({ [0] = '', [7] = key }) do
        local set = { r = tonumber(f[at + 1] or 0) + call.r, t = tonumber(f[at + 2] or 0) + call.t }
        if held_at then
            set.hr, set.ht = tonumber(f[at + 3] or 0) - 1, tonumber(f[at + 4] or 0) - held
            if cost > 0 then
                set.hc = tonumber(f[at + 5] or 0) - cost
                if f[at + 6] == day then set.dhc = tonumber(f[at + 7] or 0) - cost end
            end
        end
        for name, value in pairs(set) do
            fields[#fields + 1] = scope .. name
            fields[#fields + 1] = string.format('%.0f', value)
        end
        -- Added by Redis, whose integers are exact where Lua's numbers are not.
        if call.c ~= '0' and f[15] then
            redis.call('HINCRBY', KEYS[1], scope .. 'c', call.c)
            if tonumber(f[at + 6] or 0) < call.d then
                redis.call('HSET', KEYS[1], scope .. 'D', day, scope .. 'dc', call.c, scope .. 'dhc', 0)
            elseif f[at + 6] == day then
                redis.call('HINCRBY', KEYS[1], scope .. 'dc', call.c)
            end
        end
    end
    redis.call('HSET', KEYS[1], unpack(fields))
end
-- Rates were charged with the hold; the difference goes to the slot that it was charged in, while that counts.
if held_at and (call.t ~= held or call.u) then
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
    local FORMAT = '<dddddddddddddd'
    for _, rule in ipairs(account.w) do
        local back = call.u and 1 or 0
        if rule.t then back = held - call.t end
        local stored = back ~= 0 and redis.call('HGET', KEYS[3], rule.f)
        if stored and rule.b then
            local level, at = struct.unpack('<dd', stored)
            redis.call('HSET', KEYS[3], rule.f, struct.pack('<dd', math.min(rule.b, level + back), at))
        elseif stored then
            local slots = { struct.unpack(FORMAT, stored) }
            local slot = math.floor((held_at - account.h) * 12 / rule.s)
            if slots[14] - slot <= 12 and math.floor(now * 12 / rule.s) - slot <= 12 then
                slots[slot % 13 + 1] = math.max(0, slots[slot % 13 + 1] - back)
                redis.call('HSET', KEYS[3], rule.f, struct.pack(FORMAT, unpack(slots, 1, 14)))
            end
        end
    end
end
if ARGV[3] ~= '' then
    redis.call('XADD', KEYS[4], '*', 'e', ARGV[3])
end
-- Without the answer when it waited in a file while Redis was away; never in the place of one that people have pinned.
if call.l and ARGV[5] and redis.call('HEXISTS', KEYS[8], 'p') == 0 then
    redis.call('HSET', KEYS[8], 'm', ARGV[4], 'b', ARGV[5])
    redis.call('EXPIRE', KEYS[8], call.l)
end
if call.i and ARGV[5] then
    redis.call('HSET', KEYS[#KEYS], 'm', ARGV[4], 'b', ARGV[5], 'c', call.o)
    redis.call('EXPIRE', KEYS[#KEYS], call.i)
end
return 1
