-- One request asks to be let in: rate limits, then the month's requests, then the exact cache, then a hold on tokens.
-- Checks everything first and changes counters last, so that a refusal costs nothing.
--
-- KEYS  1 quota hash of the period  2 holds of the period  3 rates  4 usage stream  5 exact entry (optional)
-- ARGV  1 account: k key id, t tenant's limits, u key's limits, as [requests a minute, tokens a minute, requests a
--         month, tokens a month], -1 for none; h seconds a hold lives; x end of the period
--       2 call: id, p prompt tokens, c completion tokens asked for or -1, a oldest entry accepted in s or -1
--       3 the usage event, written if the exact entry answers
-- Returns {verdict, window, …}; window = {requests limit, left, reset ms, tokens limit, left, reset ms}, -1 for none.
--   {"hit", window, meta, body}    {"hold", window, tokens held, completion cap or -1}
--   {"rate", window, what, retry after ms}    {"requests" | "tokens" | "held", window, used, limit}    {"seed"}
local account, call = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local key = 'k' .. account.k .. ':'
local limits = { [''] = account.t, [key] = account.u }
local WINDOW_S = 60

local used = redis.call('HMGET', KEYS[1], 'r', 't', 'hr', 'ht', key .. 'r', key .. 't', key .. 'hr', key .. 'ht')
if not used[1] or (not used[5] and (account.u[3] >= 0 or account.u[4] >= 0)) then
    return { 'seed' }
end
for i = 1, 8 do used[i] = tonumber(used[i] or 0) end

-- Holds whose process died are given back.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
    local requests, tokens, owner = member:match('^[^|]*|(%d+)|(%d+)|(%d+)$')
    redis.call('ZREM', KEYS[2], member)
    for _, scope in ipairs({ '', 'k' .. owner .. ':' }) do
        redis.call('HINCRBY', KEYS[1], scope .. 'hr', -tonumber(requests))
        redis.call('HINCRBY', KEYS[1], scope .. 'ht', -tonumber(tokens))
    end
    used[3], used[4] = used[3] - requests, used[4] - tokens
    if owner == tostring(account.k) then used[7], used[8] = used[7] - requests, used[8] - tokens end
end
local quota = {
    [''] = { r = used[1], t = used[2], hr = used[3], ht = used[4] },
    [key] = { r = used[5], t = used[6], hr = used[7], ht = used[8] },
}

-- Sliding window: the last full minute counts by the share of it that is still within 60 s.
local index, share = math.floor(now / WINDOW_S), (now % WINDOW_S) / WINDOW_S
local function rate_of(scope)
    local f = redis.call('HMGET', KEYS[3], scope .. 'w', scope .. 'c', scope .. 'p', scope .. 'ct', scope .. 'pt')
    local w = tonumber(f[1] or 0)
    if w == index then
        return { c = tonumber(f[2]), p = tonumber(f[3]), ct = tonumber(f[4]), pt = tonumber(f[5]) }
    elseif w == index - 1 then
        return { c = 0, p = tonumber(f[2]), ct = 0, pt = tonumber(f[4]) }
    end
    return { c = 0, p = 0, ct = 0, pt = 0 }
end

-- Seconds until `need` more fit under `limit`, given the counts of this minute and the last.
local function wait_s(current, previous, need, limit)
    if current + need <= limit then
        local from = previous > 0 and 1 - (limit - need - current) / previous or 0
        return math.max(0, from - share) * WINDOW_S
    end
    local from = current > 0 and math.max(0, 1 - math.max(0, limit - need) / current) or 0
    return (1 - share + from) * WINDOW_S
end

local rates = { [''] = rate_of('') }
local scopes = { '' }
for i = 1, 4 do
    if account.u[i] >= 0 then
        scopes[2] = key
        rates[key] = rate_of(key)
        break
    end
end

-- What is left where it is tightest; for tokens without a limit a minute, of the month.
local window = { -1, -1, 0, -1, -1, 0 }
local function narrow(at, limit, left, reset_s)
    left = math.max(0, math.floor(left))
    if window[at] < 0 or left < window[at + 1] then
        window[at], window[at + 1], window[at + 2] = limit, left, math.ceil(reset_s * 1000)
    end
end
local function look(spent_requests, spent_tokens)
    for _, scope in ipairs(scopes) do
        local limit, rate, q = limits[scope], rates[scope], quota[scope]
        local reset_s = (rate.c + spent_requests > 0 and 2 - share or 1 - share) * WINDOW_S
        if limit[1] >= 0 then
            narrow(1, limit[1], limit[1] - rate.c - spent_requests - rate.p * (1 - share), reset_s)
        elseif limit[3] >= 0 then
            narrow(1, limit[3], limit[3] - q.r - q.hr - spent_requests, account.x - now)
        end
        if limit[2] >= 0 then
            narrow(4, limit[2], limit[2] - rate.ct - spent_tokens - rate.pt * (1 - share), reset_s)
        elseif limit[4] >= 0 then
            narrow(4, limit[4], limit[4] - q.t - q.ht - spent_tokens, account.x - now)
        end
    end
    return window
end

for _, scope in ipairs(scopes) do
    local limit, rate = limits[scope], rates[scope]
    if limit[1] >= 0 and rate.c + rate.p * (1 - share) + 1 > limit[1] then
        return { 'rate', look(0, 0), 'requests', math.ceil(wait_s(rate.c, rate.p, 1, limit[1]) * 1000) }
    end
end
for _, scope in ipairs(scopes) do
    local limit, q = limits[scope][3], quota[scope]
    if limit >= 0 and q.r + q.hr + 1 > limit then
        return { 'requests', look(0, 0), q.r + q.hr, limit }
    end
end

local function count(requests, tokens)
    for _, scope in ipairs(scopes) do
        local rate = rates[scope]
        redis.call('HSET', KEYS[3], scope .. 'w', index, scope .. 'c', rate.c + requests, scope .. 'p', rate.p,
            scope .. 'ct', rate.ct + tokens, scope .. 'pt', rate.pt)
    end
    redis.call('EXPIRE', KEYS[3], 3 * WINDOW_S)
end

if KEYS[5] then
    local entry = redis.call('HMGET', KEYS[5], 'm', 'b')
    if entry[1] and (call.a < 0 or now - cjson.decode(entry[1]).created_at <= call.a) then
        local window_after = look(1, 0)
        count(1, 0)
        redis.call('HINCRBY', KEYS[1], 'r', 1)
        redis.call('HINCRBY', KEYS[1], key .. 'r', 1)
        redis.call('XADD', KEYS[4], '*', 'e', ARGV[3], 'm', entry[1])
        return { 'hit', window_after, entry[1], entry[2] }
    end
end

-- Hold what the call may use at most, but never more than is left. Without a bound of the client's own, a quarter of
-- what is left (or 1,024 tokens): one call must not lock out all others.
local completion, capped = call.c, false
for _, scope in ipairs(scopes) do
    local limit, q = limits[scope][4], quota[scope]
    if limit >= 0 then
        local left = limit - q.t - q.ht - call.p
        if left < 1 then
            local in_flight = limit - q.t - call.p >= 1
            return { in_flight and 'held' or 'tokens', look(0, 0), q.t, limit }
        end
        local most = completion
        if most < 0 then most = math.max(1024, math.floor(left / 4)) end
        completion, capped = math.min(most, left), true
    end
end
local held = call.p + (completion >= 0 and completion or 1024)
for _, scope in ipairs(scopes) do
    local limit, rate = limits[scope][2], rates[scope]
    if limit >= 0 then
        local sum = rate.ct + rate.pt * (1 - share)
        -- A call larger than the limit passes when it has the minute to itself.
        if sum + held > limit and sum > 0 then
            local need = math.min(held, limit)
            return { 'rate', look(0, 0), 'tokens', math.ceil(wait_s(rate.ct, rate.pt, need, limit) * 1000) }
        end
    end
end

local window_after = look(1, held)
count(1, held)
-- Asked again after a reply that was lost, the same hold is not taken twice.
if redis.call('ZADD', KEYS[2], 'NX', now + account.h, call.id .. '|1|' .. held .. '|' .. account.k) == 1 then
    for _, scope in ipairs({ '', key }) do
        redis.call('HINCRBY', KEYS[1], scope .. 'hr', 1)
        redis.call('HINCRBY', KEYS[1], scope .. 'ht', held)
    end
end
return { 'hold', window_after, held, capped and completion or -1 }
