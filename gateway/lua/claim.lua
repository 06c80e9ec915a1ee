-- Claims an Idempotency-Key for a request, or tells what became of it before.
--
-- KEYS  1 hash: d digest of the request, o id of the call that claimed it, m description and b body of its answer,
--         c its outcome, u a digest of the end user whose it is
-- ARGV  1 "claim" with 2 digest  3 call id  4 ms that a claim lives  5 end user or empty     1 "release" with 2 call id
--       1 "keep" with 2 ms that the answer is kept  3 description  4 body  5 outcome
-- Returns {"new"}, {"other"}, {"busy"} or {"done", description, body, outcome}; release and keep: {"ok"}.
if ARGV[1] == 'release' then
    local known = redis.call('HMGET', KEYS[1], 'o', 'b')
    if known[1] == ARGV[2] and not known[2] then redis.call('DEL', KEYS[1]) end
    return { 'ok' }
end
if ARGV[1] == 'keep' then
    redis.call('HSET', KEYS[1], 'm', ARGV[3], 'b', ARGV[4], 'c', ARGV[5])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 'ok' }
end
local known = redis.call('HMGET', KEYS[1], 'd', 'o', 'm', 'b', 'c')
if not known[1] then
    redis.call('HSET', KEYS[1], 'd', ARGV[2], 'o', ARGV[3])
    if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'u', ARGV[5]) end
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return { 'new' }
end
if known[1] ~= ARGV[2] then return { 'other' } end
if known[4] then return { 'done', known[3], known[4], known[5] } end
-- Asked again after a reply that was lost.
if known[2] == ARGV[3] then return { 'new' } end
return { 'busy' }
