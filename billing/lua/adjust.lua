-- Brings what was booked by hand into the counters of its period, each row once: `a` is the id of the last that they
-- have. Where nothing is counted there is nothing to do: the seed comes from the ledger.
--
-- KEYS  1 quota hash of the period
-- ARGV  1 rows by id: id, k scope of the key or empty, r requests, t tokens, c units, d day since 1970; numbers but the
--       id as text: Lua's are exact up to 2**53 only
-- Returns how many were new.
local last, new = redis.call('HGET', KEYS[1], 'a'), 0
if not last then return 0 end
for _, row in ipairs(cjson.decode(ARGV[1])) do
    if row.id > tonumber(last) then
        for _, scope in ipairs(row.k == '' and { '' } or { '', row.k }) do
            for _, name in ipairs({ 'r', 't', 'c' }) do
                redis.call('HINCRBY', KEYS[1], scope .. name, row[name])
            end
            if redis.call('HGET', KEYS[1], scope .. 'D') == row.d then
                redis.call('HINCRBY', KEYS[1], scope .. 'dc', row.c)
            end
        end
        last, new = string.format('%.0f', row.id), new + 1
        redis.call('HSET', KEYS[1], 'a', last)
    end
end
return new
