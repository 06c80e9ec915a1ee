-- One request asks to be let in: rates, then the month's requests, then the exact cache, then a place in flight and a
-- hold on tokens and money. Checks everything first and changes counters last, so that a refusal costs nothing.
--
-- KEYS  1 quota hash of the period  2 holds of the period  3 rates  4 usage stream  5, 6 in flight: tenant's, key's
--       7 marker of this call, as in settle.lua  8 exact entry (optional)
-- ARGV  1 account (billing.quota.account_of): k key id, h seconds a hold lives, x end of the period, u whether what has
--         no price is refused; w rates, n places in flight, q quotas, each with its `i`, the number of its policy
--       2 call: id, p prompt tokens, c completion tokens asked for or -1, a oldest entry accepted in s or -1, d its day
--         since 1970, f and g the most that a prompt and a completion token may cost (units), -1 for an unknown price
--       3 the usage event, written if the exact entry answers  4 “again” when the reply to the same call was lost
-- Returns {verdict, window, …}; window = {requests limit, left, reset ms, policy, tokens limit, left, reset ms, policy},
--   -1 for none.
--   {"hit", window, meta, body}    {"hold", window, tokens held, completion cap or -1, units held}
--   {"rate", window, policy, retry after ms}    {"spent" | "held", window, policy, used, limit}    {"busy", window, policy}
--   {"unpriced", window}    {"seed"}
local account, call = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local key = 'k' .. account.k .. ':'

-- Whether the answer is bounded: by a quota of tokens, or a budget of what has a price.
local capped = false
for _, limit in ipairs(account.q) do
    capped = capped or limit.w == 't' or (limit.w ~= 'r' and call.g > 0)
end

-- The same call is not held twice: with less left, it would be given another hold.
if ARGV[4] == 'again' then
    for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
        local id, tokens, cost = member:match('^([^|]*)|1|(%d+)|%d+|(%d+)|')
        if id == call.id then
            local none = { -1, -1, 0, -1, -1, -1, 0, -1 }
            return { 'hold', none, tonumber(tokens), capped and tokens - call.p or -1, tonumber(cost) }
        end
    end
end

-- Holds whose process died are given back.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
    local requests, tokens, owner, cost, day = member:match('^[^|]*|(%d+)|(%d+)|(%d+)|?(%d*)|?(%d*)$')
    redis.call('ZREM', KEYS[2], member)
    for _, scope in ipairs({ '', 'k' .. owner .. ':' }) do
        redis.call('HINCRBY', KEYS[1], scope .. 'hr', '-' .. requests)
        -- Redis does not take “-0” for a number.
        if tokens ~= '0' then redis.call('HINCRBY', KEYS[1], scope .. 'ht', '-' .. tokens) end
        if cost ~= '' and cost ~= '0' then
            redis.call('HINCRBY', KEYS[1], scope .. 'hc', '-' .. cost)
            if redis.call('HGET', KEYS[1], scope .. 'D') == day then
                redis.call('HINCRBY', KEYS[1], scope .. 'dhc', '-' .. cost)
            end
        end
    end
end

local f = redis.call('HMGET', KEYS[1], 'r', 't', 'c', 'hr', 'ht', 'hc', 'D', 'dc', 'dhc', key .. 'r', key .. 't',
    key .. 'c', key .. 'hr', key .. 'ht', key .. 'hc', key .. 'D', key .. 'dc', key .. 'dhc')
if not f[1] or not f[3] or not f[7] then
    return { 'seed' }
end
for i = 1, 18 do f[i] = tonumber(f[i] or 0) end
-- By scope: what is used and held, of requests `r`, tokens `t`, the month's money `c` and the day's `d`.
local function counters(at)
    local today = f[at + 6] == call.d
    return {
        r = f[at], hr = f[at + 3], t = f[at + 1], ht = f[at + 4], c = f[at + 2], hc = f[at + 5],
        d = today and f[at + 7] or 0, hd = today and f[at + 8] or 0, day = f[at + 6],
    }
end
local quota = { [''] = counters(1), [key] = counters(10) }

-- A sliding window is 13 slots of a twelfth of it: the one of now and the twelve before, so that no window of the full
-- length ever holds more than the limit. A bucket is a level and its time.
local SLOTS = 12
local FORMAT = '<dddddddddddddd'
local names, rates = {}, account.w
for i, rule in ipairs(rates) do names[i] = rule.f end
local stored = #names > 0 and redis.call('HMGET', KEYS[3], unpack(names)) or {}
for i, rule in ipairs(rates) do
    if rule.b then
        local level, at = rule.b, now
        if stored[i] then level, at = struct.unpack('<dd', stored[i]) end
        rule.level = math.min(rule.b, level + math.max(0, now - at) * rule.l / rule.s)
    else
        rule.at = math.floor(now * SLOTS / rule.s)
        local slots, sum = {}, 0
        if stored[i] then
            slots = { struct.unpack(FORMAT, stored[i]) }
            for gone = math.max(slots[14], rule.at - SLOTS - 1) + 1, rule.at do slots[gone % 13 + 1] = 0 end
            for slot = 1, 13 do sum = sum + slots[slot] end
        else
            for slot = 1, 13 do slots[slot] = 0 end
        end
        rule.slots, rule.sum = slots, sum
    end
end

-- Seconds until `amount` more fit; one that is larger than the limit needs all of it.
local function wait_s(rule, amount)
    if rule.b then
        local missing = math.min(amount, rule.b) - rule.level
        if missing <= 0 then return 0 end
        return rule.l > 0 and missing * rule.s / rule.l or rule.s
    end
    local excess = rule.sum + math.min(amount, rule.l) - rule.l
    if excess <= 0 and rule.l > 0 then return 0 end
    for slot = rule.at - SLOTS, rule.at do
        excess = excess - rule.slots[slot % 13 + 1]
        if excess <= 0 and rule.slots[slot % 13 + 1] > 0 then return (slot + 13) * rule.s / SLOTS - now end
    end
    return rule.s
end

-- What is left where it is tightest.
local window = { -1, -1, 0, -1, -1, -1, 0, -1 }
local function narrow(at, limit, left, reset_s, policy)
    left = math.max(0, math.floor(left))
    if window[at] < 0 or left < window[at + 1] then
        window[at], window[at + 1], window[at + 2], window[at + 3] = limit, left, math.ceil(reset_s * 1000), policy
    end
end
local function look(requests, tokens)
    for _, rule in ipairs(rates) do
        local spent = rule.t and tokens or requests
        if rule.b then
            local left = rule.level - spent
            narrow(rule.t and 5 or 1, rule.b, left, rule.l > 0 and (rule.b - left) * rule.s / rule.l or rule.s, rule.i)
        else
            local newest = rule.at - SLOTS
            for slot = rule.at, newest, -1 do
                if rule.slots[slot % 13 + 1] > 0 or (slot == rule.at and spent > 0) then
                    newest = slot
                    break
                end
            end
            local reset_s = math.max(0, (newest + 13) * rule.s / SLOTS - now)
            narrow(rule.t and 5 or 1, rule.l, rule.l - rule.sum - spent, reset_s, rule.i)
        end
    end
    for _, limit in ipairs(account.q) do
        local of, what = quota[limit.k and key or ''], limit.w
        if what == 'r' then
            narrow(1, limit.l, limit.l - of.r - of.hr - requests, account.x - now, limit.i)
        elseif what == 't' then
            narrow(5, limit.l, limit.l - of.t - of.ht - tokens, account.x - now, limit.i)
        end
    end
    return window
end

-- The one that makes it wait longest: whoever comes back then is not refused by another.
local function slowest(requests, tokens)
    local longest, by = 0, nil
    for _, rule in ipairs(rates) do
        local amount = rule.t and tokens or requests
        local wait = amount and wait_s(rule, amount) or 0
        if wait > longest then longest, by = wait, rule.i end
    end
    return by and { 'rate', look(0, 0), by, math.ceil(longest * 1000) }
end

local refused = slowest(1, nil)
if refused then return refused end
for _, limit in ipairs(account.q) do
    local of = quota[limit.k and key or '']
    if limit.w == 'r' and of.r + of.hr + 1 > limit.l then
        return { 'spent', look(0, 0), limit.i, of.r + of.hr, limit.l }
    end
end

local function count(requests, tokens)
    if #rates == 0 then return end
    local fields = {}
    for _, rule in ipairs(rates) do
        local spent = rule.t and tokens or requests
        fields[#fields + 1] = rule.f
        if rule.b then
            fields[#fields + 1] = struct.pack('<dd', rule.level - spent, now)
        else
            local slots = rule.slots
            slots[rule.at % 13 + 1] = slots[rule.at % 13 + 1] + spent
            slots[14] = rule.at
            fields[#fields + 1] = struct.pack(FORMAT, unpack(slots, 1, 14))
        end
    end
    redis.call('HSET', KEYS[3], unpack(fields))
    redis.call('EXPIRE', KEYS[3], account.e)
end

if KEYS[8] then
    local entry = redis.call('HMGET', KEYS[8], 'm', 'b')
    if entry[1] and (call.a < 0 or now - cjson.decode(entry[1]).created_at <= call.a) then
        local window_after = look(1, 0)
        -- It counts once: also when it is asked again after a reply that was lost, or is done so late that who asked has
        -- found another answer, and settled that.
        if redis.call('SET', KEYS[7], 'hit', 'NX', 'EX', 30) then
            count(1, 0)
            redis.call('HSET', KEYS[1], 'r', quota[''].r + 1, key .. 'r', quota[key].r + 1)
            redis.call('XADD', KEYS[4], '*', 'e', ARGV[3], 'm', entry[1])
        end
        return { 'hit', window_after, entry[1], entry[2] }
    end
end

for _, limit in ipairs(account.n) do
    local places = KEYS[limit.k and 6 or 5]
    redis.call('ZREMRANGEBYSCORE', places, '-inf', now)
    if redis.call('ZCARD', places) >= limit.l then
        return { 'busy', look(0, 0), limit.i }
    end
end

-- Hold what the call may use at most, but never more than is left. Without a bound of the client's own, a quarter of
-- what is left (or 1,024 tokens): one call must not lock out all others.
local completion = call.c
for _, limit in ipairs(account.q) do
    local what, of = limit.w, quota[limit.k and key or '']
    local per_prompt, per_completion = 1, 1
    if what == 'c' or what == 'd' then
        per_prompt, per_completion = call.f, call.g
        if per_prompt < 0 then
            if account.u then return { 'unpriced', look(0, 0) } end
            what = 'r'
        end
    end
    if what ~= 'r' then
        local free = limit.l - of[what] - call.p * per_prompt
        local left = free - of['h' .. what]
        -- One token of an answer, where there is one.
        local least = call.c == 0 and (what == 't' and 1 or 0) or per_completion
        if left < least then
            return { free < least and 'spent' or 'held', look(0, 0), limit.i, of[what], limit.l }
        end
        if per_completion > 0 then
            left = math.floor(left / per_completion)
            local most = completion
            if most < 0 then most = math.max(1024, math.floor(left / 4)) end
            completion = math.min(most, left)
        end
    end
end
local held = call.p + (completion >= 0 and completion or 1024)
local cost = call.f < 0 and 0 or call.p * call.f + (held - call.p) * call.g
refused = slowest(nil, held)
if refused then return refused end
local window_after = look(1, held)
local member = string.format('%s|1|%.0f|%.0f|%.0f|%.0f', call.id, held, account.k, cost, call.d)
redis.call('ZADD', KEYS[2], now + account.h, member)
-- They go with the counters. Each time: with the last of them, the key and its end are gone.
local left_s = redis.call('TTL', KEYS[1])
if left_s > 0 then redis.call('EXPIRE', KEYS[2], left_s) end
count(1, held)
for _, limit in ipairs(account.n) do
    redis.call('ZADD', KEYS[limit.k and 6 or 5], now + account.h, call.id)
    redis.call('EXPIRE', KEYS[limit.k and 6 or 5], account.h)
end
local fields = {}
for scope, of in pairs(quota) do
    local set = { hr = of.hr + 1, ht = of.ht + held }
    if cost > 0 then
        set.hc = of.hc + cost
        if of.day < call.d then set.D, set.dc, set.dhc = call.d, 0, cost
        elseif of.day == call.d then set.dhc = of.hd + cost end
    end
    for name, value in pairs(set) do
        fields[#fields + 1] = scope .. name
        fields[#fields + 1] = string.format('%.0f', value)
    end
end
redis.call('HSET', KEYS[1], unpack(fields))
return { 'hold', window_after, held, capped and completion or -1, cost }
