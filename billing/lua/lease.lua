-- A process asks for tickets of what all workspaces together may use in a window; it hands them out by itself.
-- The window is 13 slots of a twelfth of it, as in admit.lua.
--
-- KEYS  1 the slots      ARGV  1 limit  2 window in s  3 tickets needed  4 tickets wanted
-- Returns {granted, milliseconds until the tickets end, or until there are some}
local limit, window_s, needed, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local FORMAT = '<dddddddddddddd'
local at = math.floor(now * 12 / window_s)
local slots, sum = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, at }, 0
local stored = redis.call('GET', KEYS[1])
if stored then
    slots = { struct.unpack(FORMAT, stored) }
    for gone = math.max(slots[14], at - 13) + 1, at do slots[gone % 13 + 1] = 0 end
end
for slot = 1, 13 do sum = sum + slots[slot] end
-- Who needs more than the limit has it when nobody else has any.
needed = math.min(needed, limit)
if limit - sum < needed or limit == 0 then
    local excess = sum + needed - limit
    for slot = at - 12, at do
        excess = excess - slots[slot % 13 + 1]
        if excess <= 0 and slots[slot % 13 + 1] > 0 then
            return { 0, math.ceil(((slot + 13) * window_s / 12 - now) * 1000) }
        end
    end
    return { 0, window_s * 1000 }
end
local granted = math.min(wanted, limit - sum)
slots[at % 13 + 1] = slots[at % 13 + 1] + granted
slots[14] = at
redis.call('SET', KEYS[1], struct.pack(FORMAT, unpack(slots, 1, 14)), 'EX', 2 * window_s)
-- Handed out later, they would belong to another slot.
return { granted, math.max(1, math.floor(((at + 1) * window_s / 12 - now) * 1000)) }
